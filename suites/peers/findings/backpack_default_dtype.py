"""In float64 the second-order quantities of average pooling (and of embeddings) need torch's default dtype to be float64."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 4, 4).double(), torch.randint(3, (4,))
model = extend(nn.Sequential(nn.Conv2d(1, 2, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)).double())
loss = extend(nn.CrossEntropyLoss())

found = "a diagonal in float64"
try:
    with backpack(extensions.DiagGGNExact()):
        loss(model(x), y).backward()
except RuntimeError as error:
    found = f"RuntimeError: {error}"

print("expected: a diagonal in float64")
print(f"found: {found}")
