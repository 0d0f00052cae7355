"""K-FAC refuses a normalisation behind a linear layer; as the first layer it ends in an UnboundLocalError."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatKFAC
from torch import nn

torch.manual_seed(0)
model, X = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2)), torch.randn(4, 3)
try:
    FIM(model, (X, X), PMatKFAC, "regression")
    found = "a matrix or a refusal"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = type(error).__name__
print("expected: a matrix or a refusal")
print(f"found: {found}")
