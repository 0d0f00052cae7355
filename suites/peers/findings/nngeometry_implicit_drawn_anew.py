"""PMatImplicit of FIM_MonteCarlo draws new labels for each product: u'(Mv) and v'(Mu) are of two matrices."""

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM_MonteCarlo
from nngeometry.object import PMatImplicit
from nngeometry.object.vector import PVector
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 3), torch.randn(4, 3)
matrix = FIM_MonteCarlo(model, (X, X), PMatImplicit)
layers = LayerCollection.from_model(model)
u, v = torch.randn(12), torch.randn(12)
first = v @ matrix.mv(PVector(layers, vector_repr=u)).to_torch()
second = u @ matrix.mv(PVector(layers, vector_repr=v)).to_torch()
print(f"expected: {first:.4g}")
print(f"found: {second:.4g}")
