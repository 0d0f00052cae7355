"""PCHMP multiplies the residual curvature of an activation by the gradient twice: f'' g^2 in place of f'' g.

Curvature of (tanh(w x) - y)^2 with respect to w, whose residual part is positive, so that nothing is clipped.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

model = extend(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh()))
nn.init.constant_(model[0].weight, 0.5)
x, y = torch.ones(1, 1), torch.full((1, 1), 3.0)

weight = model[0].weight
gradient = torch.autograd.grad(nn.MSELoss()(model(x), y), weight, create_graph=True)[0]
expected = torch.autograd.grad(gradient.sum(), weight)[0].item()  # the whole Hessian, as the residual is positive
residual = (-2 * torch.tanh(weight) * (1 - torch.tanh(weight) ** 2) * 2 * (torch.tanh(weight) - y)).item()
assert residual > 0

with backpack(extensions.PCHMP(modify="clip")):
    extend(nn.MSELoss())(model(x), y).backward()
found = weight.pchmp(torch.ones(1, 1, 1)).item()

print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
