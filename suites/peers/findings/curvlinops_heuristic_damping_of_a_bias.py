"""The heuristic damping of a separate bias is sqrt(damping) / pi, not damping: at 1e6 its inverse is 1000 times too large."""

import torch
from curvlinops import KFACInverseLinearOperator, KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
data = [(torch.randn(5, 3).double(), torch.randn(5, 2).double())]
operator = KFACLinearOperator(model, nn.MSELoss(), list(model.parameters()), data, fisher_type="type-2")
inverse = KFACInverseLinearOperator(operator, damping=1e6, use_heuristic_damping=True)
unit = torch.zeros(8).double()
unit[6] = 1  # the first bias, whose block is 2 / C = 1 times the identity
print(f"expected: {1e6 / (1e6 + 1):.4g}")
print(f"found: {1e6 * (inverse @ unit)[6]:.4g}")
