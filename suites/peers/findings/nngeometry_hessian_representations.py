"""Hessian exists as PMatDense alone; another representation ends in an AttributeError, not in a refusal."""

import torch
from nngeometry.hessian import Hessian
from nngeometry.object import PMatDiag
from torch import nn

torch.manual_seed(0)
model, X, y = nn.Linear(3, 2), torch.randn(4, 3), torch.randn(4, 2)
try:
    Hessian(model, (X, y), PMatDiag, nn.MSELoss())
    found = "a matrix or a refusal"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = type(error).__name__
print("expected: a matrix or a refusal")
print(f"found: {found}")
