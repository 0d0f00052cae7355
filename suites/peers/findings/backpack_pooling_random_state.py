"""Second-order quantities through average pooling move torch's random state: they make a convolution, with drawn weights."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 4, 4), torch.randint(3, (4,))
model = extend(nn.Sequential(nn.Conv2d(1, 2, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)))
loss = extend(nn.CrossEntropyLoss())

before = torch.random.get_rng_state()
expected = torch.rand(())
torch.random.set_rng_state(before)
with backpack(extensions.DiagGGNExact()):  # nothing is to be drawn
    loss(model(x), y).backward()

print(f"expected: {expected:.4g}")
print(f"found: {torch.rand(()):.4g}")
