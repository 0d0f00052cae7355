"""A prior precision per layer is documented and accepted by the Kronecker last layer, whose evidence then refuses it."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
laplace = Laplace(model, "regression", "last_layer", "kron")
laplace.fit(DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6))
laplace.prior_precision = torch.tensor([1.0, 2.0])  # weight and bias
try:
    found = "a number" if laplace.log_marginal_likelihood().isfinite() else "no number"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a number")
print(f"found: {found}")
