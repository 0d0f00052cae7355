"""PMatQuasiDiag knows Linear and Conv2d; the other layers of the library end in an AttributeError, not in a refusal."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatQuasiDiag
from torch import nn

torch.manual_seed(0)
model, X = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Flatten()), torch.randn(3, 1, 4)
try:
    FIM(model, (X, X), PMatQuasiDiag, "regression")
    found = "a matrix or a refusal"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = type(error).__name__
print("expected: a matrix or a refusal")
print(f"found: {found}")
