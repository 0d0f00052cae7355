"""fit erases the user's gradients and leaves the model in evaluation mode."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
model(torch.randn(2, 3)).sum().backward()
Laplace(model, "regression", "all", "full").fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5))
gradients = "kept" if model[0].weight.grad is not None else "erased"
print("expected: gradients kept, training mode kept")
print(f"found: gradients {gradients}, training mode {'kept' if model.training else 'ended'}")
