"""n_mc_samples of ASDL divides the Monte-Carlo GGN once too often: mean trace of 200 estimates of 8 draws each."""

import torch
from laplace.curvature import AsdlGGN
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 3))
inputs, labels = torch.randn(50, 3), torch.randint(0, 3, (50,))
p = model(inputs).softmax(1).detach()
expected = float(((1 - (p**2).sum(1)) * (1 + (inputs**2).sum(1))).sum())
backend = AsdlGGN(model, "classification", stochastic=True)
traces = [float(backend.diag(inputs, labels, n_mc_samples=8)[1].sum()) for _ in range(200)]
print(f"expected: {expected:.2g}")
print(f"found: {sum(traces) / 200:.2g}")
