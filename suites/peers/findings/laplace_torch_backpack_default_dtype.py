"""A network with average pooling in double precision under torch's usual default stops the diagonal GGN of BackPACK."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2)).double()
loader = DataLoader(TensorDataset(torch.randn(5, 1, 3, 3).double(), torch.randn(5, 2).double()), 5)
try:
    Laplace(model, "regression", "all", "diag", backend=BackPackGGN).fit(loader)
    found = "a diagonal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a diagonal")
print(f"found: {found}")
