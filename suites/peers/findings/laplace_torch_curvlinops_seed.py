"""CurvlinopsGGN(stochastic=True) draws the same numbers for every batch: 400 equal batches do not average its error."""

import torch
from laplace.curvature import CurvlinopsGGN
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 3))
inputs, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
exact = CurvlinopsGGN(model, "classification").full(inputs, labels, N=4)[1]
drawn = CurvlinopsGGN(model, "classification", stochastic=True)
estimates = [drawn.full(inputs, labels, N=4)[1] for _ in range(400)]
one = (estimates[0] - exact).norm() / exact.norm()
mean = (sum(estimates) / 400 - exact).norm() / exact.norm()
print("expected: less than half of the error of one")
print(f"found: {'less than half' if mean < one / 2 else 'all'} of the error of one")
