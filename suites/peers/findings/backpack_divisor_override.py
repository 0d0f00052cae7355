"""AvgPool2d(divisor_override=...) is taken for an average by second-order quantities; the option is ignored.

Diagonal of the GGN of the squared error of one convolution of width one and a pool that adds up: 2 (sum of the inputs)^2.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x = torch.randn(1, 1, 2, 2)
model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.AvgPool2d(2, divisor_override=1), nn.Flatten())
model, loss = extend(model), extend(nn.MSELoss())

with backpack(extensions.DiagGGNExact()):
    loss(model(x), torch.zeros(1, 1)).backward()

print(f"expected: {2 * x.sum() ** 2:.4g}")
print(f"found: {model[0].weight.diag_ggn_exact.item():.4g}")
