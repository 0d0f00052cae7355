"""The empirical Fisher of a mean with class weights w is off by N over the sum of the w: N stands where that sum belongs."""

import torch
from curvlinops import EFLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 3).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 0, 1, 2])
weight = torch.tensor([0.1, 1.0, 10.0]).double()
loss = nn.CrossEntropyLoss(weight)

squares = 0.0
single = nn.CrossEntropyLoss(weight, reduction="sum")
for x, y in zip(inputs, labels, strict=True):
    gradients = torch.autograd.grad(single(model(x), y), model.parameters())
    squares += sum(float(gradient.square().sum()) for gradient in gradients)

operator = EFLinearOperator(model, loss, list(model.parameters()), [(inputs, labels)])
found = (operator @ torch.eye(12).double()).trace()
print(f"expected: {squares / float(weight[labels].sum()):.4g}")  # the factor c of the mean is one over the sum of weights
print(f"found: {found:.4g}")
