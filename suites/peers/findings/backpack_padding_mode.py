"""Convolutions with another padding_mode are taken for padded with zeros: BatchGrad does not add up to the gradient."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 4, 4), torch.randint(3, (4,))
convolution = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
model = extend(nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(32, 3)))
loss = extend(nn.CrossEntropyLoss())

with backpack(extensions.BatchGrad()):
    loss(model(x), y).backward()

print(f"expected: {convolution.weight.grad.norm():.4g}")
print(f"found: {convolution.weight.grad_batch.sum(0).norm():.4g}")
