"""After the temperature is changed the full posterior keeps its old covariance, while its precision is new: trace."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
laplace = Laplace(model, "regression", "all", "full")
laplace.fit(DataLoader(TensorDataset(torch.randn(40, 3), torch.randn(40, 2)), 40))
_ = laplace.posterior_covariance
laplace.temperature = 5.0
print(f"expected: {float(torch.linalg.inv(laplace.posterior_precision).trace()):.4g}")
print(f"found: {float(laplace.posterior_covariance.trace()):.4g}")
