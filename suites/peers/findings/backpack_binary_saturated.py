"""The GGN of binary cross-entropy is sigma (1 - sigma), by subtraction: zero in float32 at logit 20, and right at logit -20."""

import math

import torch
from backpack import backpack, extend, extensions
from torch import nn

model, loss = extend(nn.Linear(1, 1, bias=False)), extend(nn.BCEWithLogitsLoss())
nn.init.constant_(model.weight, 20.0)
with backpack(extensions.DiagGGNExact()):
    loss(model(torch.ones(1, 1)), torch.ones(1, 1)).backward()

print(f"expected: {math.exp(-20) / (1 + math.exp(-20)) ** 2:.4g}")
print(f"found: {model.weight.diag_ggn_exact.item():.4g}")
