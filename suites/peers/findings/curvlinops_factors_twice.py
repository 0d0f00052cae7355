"""compute_kronecker_factors() a second time adds to the first: both factors double, and K-FAC grows fourfold."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
data = [(torch.randn(5, 3).double(), torch.randn(5, 2).double())]
operator = KFACLinearOperator(model, nn.MSELoss(), [model.weight], data, fisher_type="type-2")
operator.compute_kronecker_factors()
inputs = data[0][0]
print(f"expected: {2 * inputs.square().sum() / 5:.4g}")  # tr A tr G, with G = 2 / C times the identity
print(f"found: {operator.trace:.4g}")
