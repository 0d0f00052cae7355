"""The empirical Fisher of regression is 2 sigma_noise^2 times that of N(f, sigma_noise^2): the factor 1/2 is not squared."""

import torch
from laplace import Laplace
from laplace.curvature import CurvlinopsEF
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model, sigma = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), 1.0
inputs, targets = torch.randn(8, 3), torch.randn(8, 2)
expected = 0.0
for x, y in zip(inputs, targets, strict=True):
    likelihood = torch.distributions.Normal(model(x), sigma).log_prob(y).sum()
    expected += float(sum((g**2).sum() for g in torch.autograd.grad(likelihood, list(model.parameters()))))
laplace = Laplace(model, "regression", "all", "full", sigma_noise=sigma, prior_precision=1e-9, backend=CurvlinopsEF)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 8))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.posterior_precision.trace()):.4g}")
