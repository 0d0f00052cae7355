"""The 1-norm of a PVector made from a model is the sum of its entries: the absolute values are forgotten for odd p."""

import torch
from nngeometry.object.vector import PVector
from torch import nn

model = nn.Linear(2, 1)
model.weight.data = torch.tensor([[3.0, -2.0]])
model.bias.data.fill_(1.0)
expected = sum(p.abs().sum() for p in model.parameters())
found = PVector.from_model(model).norm(p=1)
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
