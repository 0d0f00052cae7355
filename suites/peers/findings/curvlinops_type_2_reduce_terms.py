"""K-FAC reduce with a loss at each of T positions: type 2 gives T times what its own Monte-Carlo form tends to."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
data = [(torch.randn(50, 6, 3).double(), torch.randn(50, 6, 2).double())]


def trace(**options: object) -> float:
    """Of the library's K-FAC."""
    operator = KFACLinearOperator(model, nn.MSELoss(), [model.bias], data, kfac_approx="reduce", **options)
    return float(operator.trace)


print(f"expected: {trace(fisher_type='mc', mc_samples=3000):.2g}")  # the block of the bias: 2 / C times the identity
print(f"found: {trace(fisher_type='type-2'):.2g}")
