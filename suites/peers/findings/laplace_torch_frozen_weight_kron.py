"""A layer of which only the bias is trained stops the Kronecker factors with a KeyError; full and diag take it."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
model[0].weight.requires_grad_(False)
laplace = Laplace(model, "regression", "all", "kron")
try:
    laplace.fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5))
    found = "factors or a refusal"
except (NotImplementedError, ValueError):
    found = "factors or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: factors or a refusal")
print(f"found: {found}")
