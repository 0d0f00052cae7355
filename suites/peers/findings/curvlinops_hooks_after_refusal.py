"""EKFAC refuses outputs with positions after it put its hooks on the model, and leaves them there."""

import contextlib

import torch
from curvlinops import EKFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
data = [(torch.randn(4, 5, 3), torch.randn(4, 5, 2))]
with contextlib.suppress(ValueError):  # only 2d output is supported
    EKFACLinearOperator(model, nn.MSELoss(), list(model.parameters()), data, fisher_type="type-2")
print("expected: 0")
print(f"found: {len(model._forward_hooks) + len(model._forward_pre_hooks):.4g}")
