"""BackPackGGN meets a module that BackPACK cannot differentiate (a layer called twice) with an AttributeError."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
shared = nn.Linear(3, 3)
model = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(3, 2))
laplace = Laplace(model, "regression", "all", "full", backend=BackPackGGN)
try:
    laplace.fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5))
    found = "a matrix or a refusal"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix or a refusal")
print(f"found: {found}")
