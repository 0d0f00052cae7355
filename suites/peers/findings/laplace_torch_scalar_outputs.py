"""Regression with outputs and targets (N,) passes the check of dimensions in fit and ends in an einsum."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
laplace = Laplace(model, "regression", "all", "diag")
try:
    laplace.fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5)), 5))
    found = "a number or a refusal"
except (NotImplementedError, ValueError):
    found = "a number or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a number or a refusal")
print(f"found: {found}")
