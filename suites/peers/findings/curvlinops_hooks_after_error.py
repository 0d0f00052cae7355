"""A forward pass that raises leaves K-FAC's hooks on the model, and half of the data in its factors, which it then uses."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 2)).double()
inputs, targets = torch.randn(6, 3).double(), torch.randn(6, 2).double()
data = [(inputs[:3], targets[:3]), (inputs[3:], targets[3:])]
operator = KFACLinearOperator(model, nn.MSELoss(), [model[0].weight], data, fisher_type="type-2", check_deterministic=False)
good = data[1]
data[1] = (good[0][:, :2], good[1])  # of a wrong width: the second forward pass raises
try:
    operator.compute_kronecker_factors()
except RuntimeError:
    data[1] = good
print(f"expected: {2 * inputs.square().sum() / 6:.4g}")  # tr A tr G, with G = 2 / C times the identity
print(f"found: {operator.trace:.4g}")
