"""A masked label (ignore_index=-100, the default) counts in BackPACK's second-order quantities; cross-entropy leaves it out.

Trace of the GGN of softmax regression on three samples, one of them masked.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(3, 2), torch.tensor([0, -100, 1])
model, loss = extend(nn.Linear(2, 3)), extend(nn.CrossEntropyLoss())

probabilities = model(x).softmax(1)[y != -100]
hessian = (probabilities - probabilities.square()).sum(1)  # trace of diag(p) - pp' of each sample that counts
expected = (hessian * (x[y != -100].square().sum(1) + 1)).mean()

with backpack(extensions.DiagGGNExact()):
    loss(model(x), y).backward()
found = sum(p.diag_ggn_exact.sum() for p in model.parameters())

print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
