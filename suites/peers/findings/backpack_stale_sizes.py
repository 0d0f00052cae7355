"""An extension used on a second, smaller batch fails if the inputs require gradients and lie at the same address."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(5, 3, requires_grad=True), torch.randint(4, (5,))
model, loss, extension = extend(nn.Linear(3, 4)), extend(nn.CrossEntropyLoss()), extensions.DiagGGNExact()

found = "two backward passes"
try:
    for size in (5, 2):
        with backpack(extension):
            loss(model(x[:size]), y[:size]).backward()
except RuntimeError as error:
    found = f"RuntimeError: {error}"

print("expected: two backward passes")
print(f"found: {found[:60]}")
