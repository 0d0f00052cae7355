"""In regression a temperature divides the squared error and leaves the normaliser: log-likelihood at temperature 4."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
inputs, targets = torch.randn(12, 3), torch.randn(12, 2)
laplace = Laplace(model, "regression", "all", "diag", temperature=4.0, sigma_noise=0.5)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 12))
log_likelihood = torch.distributions.Normal(model(inputs), 0.5).log_prob(targets).sum()
print(f"expected: {float(log_likelihood / 4):.4g}")  # the likelihood to the power 1/4, as in classification
print(f"found: {float(laplace.log_likelihood):.4g}")
