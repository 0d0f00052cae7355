"""Samples of functions by networks of a last-layer posterior are written to the first layers of the user's own model."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 3))
laplace = Laplace(model, "regression", "last_layer", "full")
laplace.fit(DataLoader(TensorDataset(torch.randn(6, 1), torch.randn(6, 3)), 6))
before = model[0].weight.detach().clone()
try:
    laplace.functional_samples(torch.randn(2, 1), "nn", 10)
    found = "samples"
except Exception as error:
    found = type(error).__name__
changed = "changed" if (model[0].weight != before).any() else "unchanged"
print("expected: samples, first layer unchanged")
print(f"found: {found}, first layer {changed}")
