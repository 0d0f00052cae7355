"""A weight of two layers keeps the individual gradients of the layer whose backward pass is last, and not their sum."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 3), torch.randn(4, 3)
encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 3)
decoder.weight = encoder.weight
model, loss = extend(nn.Sequential(encoder, nn.Tanh(), decoder)), extend(nn.MSELoss())

with backpack(extensions.BatchGrad()):
    loss(model(x), y).backward()

print(f"expected: {encoder.weight.grad.norm():.4g}")
print(f"found: {encoder.weight.grad_batch.sum(0).norm():.4g}")
