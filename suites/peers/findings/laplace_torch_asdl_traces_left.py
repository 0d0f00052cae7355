"""After a fit with AsdlGGN the user's model keeps regular backward hooks: BackPackGGN then fails on the same model."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN, BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
loader = DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5)
Laplace(model, "regression", "all", "diag", backend=AsdlGGN).fit(loader)
try:
    Laplace(model, "regression", "all", "diag", backend=BackPackGGN).fit(loader)
    found = "a diagonal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a diagonal")
print(f"found: {found}")
