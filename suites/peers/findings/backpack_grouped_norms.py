"""BatchL2Grad of a convolution with groups > 1 is not the norm of BatchGrad: groups are contracted with one another."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 2, 4, 4), torch.randint(3, (4,))
convolution = nn.Conv2d(2, 4, 2, groups=2)
model = extend(nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(36, 3)))
loss = extend(nn.CrossEntropyLoss(reduction="sum"))

expected = sum(
    torch.autograd.grad(loss(model(x[n : n + 1]), y[n : n + 1]), convolution.weight)[0].square().sum() for n in range(4)
)
with backpack(extensions.BatchL2Grad()):
    loss(model(x), y).backward()

print(f"expected: {expected:.4g}")
print(f"found: {convolution.weight.batch_l2.sum():.4g}")
