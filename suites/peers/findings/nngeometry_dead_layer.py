"""A layer that no gradient reaches: the damped inverse of K-FAC fails, as pi divides by the trace of G, which is zero."""

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM
from nngeometry.object import PMatKFAC
from nngeometry.object.vector import PVector
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False))
model[0].bias.data.fill_(-100.0)
X = torch.ones(2, 1)
matrix = FIM(model, (X, X), PMatKFAC, "regression")
vector = PVector(LayerCollection.from_model(model), vector_repr=torch.ones(3))
try:
    found = "finite" if matrix.inverse(regul=0.1).mv(vector).to_torch().isfinite().all() else "not finite"
except Exception as error:
    found = type(error).__name__
print("expected: finite")
print(f"found: {found}")
