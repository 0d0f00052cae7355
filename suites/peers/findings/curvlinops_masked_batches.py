"""GGN, Hessian and empirical Fisher weigh batches by their sizes, not by the labels that count: the batching matters."""

import torch
from curvlinops import GGNLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, -100, -100, 2, 1, 3])
loss = nn.CrossEntropyLoss()
data = [(inputs[:3], labels[:3]), (inputs[3:], labels[3:])]

bias = model.bias.detach()  # for a linear model the GGN is the Hessian, here of the loss of all data
hessian = torch.func.hessian(lambda b: loss(inputs @ model.weight.detach().T + b, labels))(bias)

operator = GGNLinearOperator(model, loss, [model.bias], data)
print(f"expected: {hessian[0, 0]:.4g}")
print(f"found: {(operator @ torch.eye(4).double())[0, 0]:.4g}")
