"""Regression with outputs (N, T, C) passes the checks of fit and ends in an einsum: the diagonal GGN of the default backend."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
laplace = Laplace(model, "regression", "all", "diag")
try:
    laplace.fit(DataLoader(TensorDataset(torch.randn(5, 3, 3), torch.randn(5, 3, 2)), 5))
    found = "a number or a refusal"
except (NotImplementedError, ValueError):
    found = "a number or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a number or a refusal")
print(f"found: {found}")
