"""GGNMP, HMP and KFRA form p - p^2 for the likely class: zero in float32 at a logit gap of 20, where DiagGGNExact is right."""

import math

import torch
from backpack import backpack, extend, extensions
from torch import nn

model, loss = extend(nn.Linear(1, 2, bias=False)), extend(nn.CrossEntropyLoss())
with torch.no_grad():
    model.weight.copy_(torch.tensor([[20.0], [0.0]]))
with backpack(extensions.GGNMP()):
    loss(model(torch.ones(1, 1)), torch.zeros(1, dtype=torch.long)).backward()
first = torch.tensor([[[1.0], [0.0]]])

print(f"expected: {math.exp(-20) / (1 + math.exp(-20)) ** 2:.4g}")
print(f"found: {model.weight.ggnmp(first)[0, 0].item():.4g}")
