"""Second-order quantities of a convolution whose padding is a word fail with a TypeError, not with a refusal."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 7), torch.randint(3, (4,))
model = extend(nn.Sequential(nn.Conv1d(1, 2, 1), nn.Conv1d(2, 2, 3, padding="same"), nn.Flatten(), nn.Linear(14, 3)))
loss = extend(nn.CrossEntropyLoss())

found = "a number or a refusal"
try:
    with backpack(extensions.DiagGGNExact()):
        loss(model(x), y).backward()
except NotImplementedError:
    pass
except TypeError as error:
    found = f"TypeError: {error}"

print("expected: a number or a refusal")
print(f"found: {found}")
