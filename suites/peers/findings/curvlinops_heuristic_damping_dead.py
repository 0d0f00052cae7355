"""Behind units that are all off, the heuristic damping of G is divided by pi = 0: infinite, and Cholesky fails."""

import torch
from curvlinops import KFACInverseLinearOperator, KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)).double()
nn.init.constant_(model[0].bias, -100.0)
data = [(torch.randn(5, 3).double(), torch.randn(5, 2).double())]
operator = KFACLinearOperator(model, nn.MSELoss(), list(model[2].parameters()), data, fisher_type="type-2")
inverse = KFACInverseLinearOperator(operator, damping=0.1, use_heuristic_damping=True)
try:
    found = "finite numbers" if (inverse @ torch.ones(6).double()).isfinite().all() else "NaN"
except Exception as error:
    found = type(error).__name__
print("expected: finite numbers")
print(f"found: {found}")
