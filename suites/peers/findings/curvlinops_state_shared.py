"""An operator loaded from a state shares its dictionaries of factors: computing one of the two multiplies the other."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
data = [(torch.randn(5, 3).double(), torch.randn(5, 2).double())]
arguments = (model, nn.MSELoss(), [model.weight], data)
operator = KFACLinearOperator(*arguments, fisher_type="type-2", check_deterministic=False)
again = KFACLinearOperator.from_state_dict(operator.state_dict(), model, [model.weight], data, check_deterministic=False)
again.compute_kronecker_factors()  # once
operator.compute_kronecker_factors()  # once
inputs = data[0][0]
print(f"expected: {2 * inputs.square().sum() / 5:.4g}")  # tr A tr G, with G = 2 / C times the identity
print(f"found: {operator.trace:.4g}")
