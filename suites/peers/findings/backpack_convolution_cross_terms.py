"""KFLR and KFAC add gradients over the positions of a convolution before the outer product, which Grosse and Martens do not.

convnd.py says that the factor is |T| Gamma of their eq. 32, with Gamma the mean over positions of E[s_t s_t']: trace of it.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(6, 1, 4, 4), torch.randint(3, (6,))
convolution, head, loss = nn.Conv2d(1, 2, 3), nn.Linear(8, 3), extend(nn.CrossEntropyLoss())
model = extend(nn.Sequential(convolution, nn.Flatten(), head))

p = model(x).softmax(1).detach()
roots = p.sqrt().mT[..., None] * (torch.eye(3)[:, None] - p)  # (C, N, C): sum over the first of r r' is diag(p) - pp'
backwards = (roots @ head.weight).unflatten(2, (2, 4))  # (C, N, channels, positions)
expected = backwards.square().sum() / 6

with backpack(extensions.KFLR()):
    loss(model(x), y).backward()

print(f"expected: {expected:.4g}")
print(f"found: {convolution.weight.kflr[0].trace():.4g}")
