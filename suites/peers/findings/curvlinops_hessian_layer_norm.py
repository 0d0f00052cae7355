"""The Hessian of a network with LayerNorm is wrong, not even symmetric: forward over reverse mode of torch fails there."""

import torch
from curvlinops import HessianLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 2)).double()
data, loss = [(torch.randn(5, 2).double(), torch.randn(5, 2).double())], nn.MSELoss()
chosen = [model[0].bias, model[1].weight]

gradients = torch.autograd.grad(loss(model(data[0][0]), data[0][1]), chosen, create_graph=True)
row = torch.autograd.grad(gradients[0][0], model[1].weight)[0]  # by double backward

operator = HessianLinearOperator(model, loss, chosen, data)
unit = torch.zeros(6).double()
unit[0] = 1
print(f"expected: {row[0]:.4g}")
print(f"found: {(operator @ unit)[3]:.4g}")
