"""A normalisation without parameters (affine=False) is registered as if it had some, and ends in an AttributeError."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model, X = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)).eval(), torch.randn(4, 3)
expected = 2 * (1 + X.pow(2).sum(1)).mean() / (1 + model[1].eps)
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
