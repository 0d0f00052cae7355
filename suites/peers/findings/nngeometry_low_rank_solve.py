"""PMatLowRank.solve drops what the right-hand side has outside the range, whatever the damping."""

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM
from nngeometry.object import PMatLowRank
from nngeometry.object.vector import PVector
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(5, 1), torch.randn(2, 5)
matrix = FIM(model, (X, X), PMatLowRank, "regression")
right = torch.ones(6)
found = matrix.solve(PVector(LayerCollection.from_model(model), vector_repr=right), regul=0.1).to_torch()
joint = torch.cat([X, torch.ones(2, 1)], 1)
expected = torch.linalg.solve(joint.T @ joint / 2 + 0.1 * torch.eye(6), right)
print(f"expected: {expected.norm():.4g}")
print(f"found: {found.norm():.4g}")
