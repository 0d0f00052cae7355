"""The empirical Fisher of outputs (N,), one number a sample, ends in an error of einops."""

import torch
from curvlinops import EFLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
data = [(torch.randn(5, 3), torch.randn(5))]
try:
    operator = EFLinearOperator(model, nn.MSELoss(), list(model.parameters()), data)
    found = "a matrix or a refusal" if (operator @ torch.eye(4)).isfinite().all() else "NaN"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = type(error).__name__
print("expected: a matrix or a refusal")
print(f"found: {found}")
