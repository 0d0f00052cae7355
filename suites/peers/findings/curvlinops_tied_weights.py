"""K-FAC of a weight that two layers share is that of the layer named last, without a word; its trace counts both."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
second.weight = first.weight
model = nn.Sequential(first, nn.Tanh(), second).double()
data = [(torch.randn(5, 3).double(), torch.randn(5, 3).double())]
operator = KFACLinearOperator(model, nn.MSELoss(), [first.weight], data, fisher_type="type-2")
print(f"expected: {operator.trace:.4g}")  # its own
print(f"found: {(operator @ torch.eye(9).double()).trace():.4g}")
