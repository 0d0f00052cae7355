"""fit writes an attribute output_size to the user's model."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
before = set(vars(model))
Laplace(model, "regression", "all", "full").fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5))
print("expected: nothing added")
print(f"found: {', '.join(sorted(set(vars(model)) - before)) or 'nothing'} added")
