"""A weight in two layers: SINGD steps it once for each, with the whole gradient both times.

With lr_cov=0 the preconditioners are identities, so that a step is one of gradient descent."""

import warnings

import torch
from singd.optim.optimizer import SINGD
from torch import nn

warnings.filterwarnings("ignore", "optimizer contains a parameter group with duplicate parameters")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 3, bias=False))
model[2].weight = model[0].weight
optimizer = SINGD(model, lr=0.1, momentum=0.0, lr_cov=0.0)
before = model[0].weight.detach().clone()
nn.functional.mse_loss(model(torch.rand(5, 3)), torch.rand(5, 3)).backward()
gradient = model[0].weight.grad.clone()
optimizer.step()
print(f"expected: {0.1 * gradient.norm():.4g}")
print(f"found: {(before - model[0].weight).norm():.4g}")
