"""AvgPool2d(ceil_mode=True) fails with a ValueError about the size of a transposed convolution, not with a refusal."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 5, 5), torch.randint(3, (4,))
model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(18, 3))
model, loss = extend(model), extend(nn.CrossEntropyLoss())

found = "a number or a refusal"
try:
    with backpack(extensions.DiagGGNExact()):
        loss(model(x), y).backward()
except NotImplementedError:
    pass
except ValueError as error:
    found = f"ValueError: {error}"

print("expected: a number or a refusal")
print(f"found: {found[:50]}")
