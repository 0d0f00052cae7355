"""KFRA makes the Hessian of the squared error in torch's default dtype: in float64 it fails, or is right to float32 only."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 3).double(), torch.randn(4, 2).double()
model, loss = extend(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()), extend(nn.MSELoss())

found = "factors in float64"
try:
    with backpack(extensions.KFRA()):
        loss(model(x), y).backward()
except RuntimeError as error:
    found = f"RuntimeError: {error}"

print("expected: factors in float64")
print(f"found: {found}")
