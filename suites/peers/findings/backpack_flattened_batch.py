"""Flatten(0, 1), which makes positions samples, is taken for a reshape within samples: outer products between them appear.

Trace of the GGN of a bias: that of a linear layer on (N, T, D) must not depend on whether its outputs or inputs are flattened.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(5, 4, 2), torch.randint(3, (20,))
layer, loss = nn.Linear(2, 3), extend(nn.CrossEntropyLoss())

p = layer(x).flatten(0, 1).softmax(1)
expected = (p - p.square()).sum(1).mean()

with backpack(extensions.DiagGGNExact()):
    loss(extend(nn.Sequential(layer, nn.Flatten(0, 1)))(x), y).backward()

print(f"expected: {expected:.4g}")
print(f"found: {layer.bias.diag_ggn_exact.sum():.4g}")
