"""The Monte-Carlo Fisher draws labels for ignored samples too: a sum over the data is not that over the labels that count."""

import torch
from curvlinops import FisherMCLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, 1, -100, 2, -100, -100])
loss = nn.CrossEntropyLoss(reduction="sum")

bias = model.bias.detach()  # the Fisher of the bias is the Hessian of the loss in it
hessian = torch.func.hessian(lambda b: loss(inputs @ model.weight.detach().T + b, labels))(bias)

operator = FisherMCLinearOperator(model, loss, [model.bias], [(inputs, labels)], mc_samples=20000)
print(f"expected: {hessian.trace():.4g}")
print(f"found: {(operator @ torch.eye(4).double()).trace():.4g}")
