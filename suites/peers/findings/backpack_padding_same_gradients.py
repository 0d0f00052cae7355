"""With padding='same' BatchGrad of a convolution does not add up to the gradient: the word goes to another convolution."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 1, 7), torch.randint(3, (4,))
convolution = nn.Conv1d(1, 2, 3, padding="same")
model = extend(nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(14, 3)))
loss = extend(nn.CrossEntropyLoss())

with backpack(extensions.BatchGrad()):
    loss(model(x), y).backward()

print(f"expected: {convolution.weight.grad.norm():.4g}")
print(f"found: {convolution.weight.grad_batch.sum(0).norm():.4g}")
