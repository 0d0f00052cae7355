"""A layer that is called twice fails with an AttributeError, not with a refusal."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 3), torch.randn(4, 3)
layer = nn.Linear(3, 3)
model, loss = extend(nn.Sequential(layer, nn.Tanh(), layer)), extend(nn.MSELoss())

found = "a number or a refusal"
try:
    with backpack(extensions.BatchGrad()):
        loss(model(x), y).backward()
except NotImplementedError:
    pass
except AttributeError as error:
    found = f"AttributeError: {error}"

print("expected: a number or a refusal")
print(f"found: {found}")
