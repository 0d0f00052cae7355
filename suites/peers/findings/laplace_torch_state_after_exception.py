"""A prediction by sampled networks that raises leaves a sample in the user's model: change of its first weight."""

import contextlib

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
laplace = Laplace(model, "regression", "all", "full")
laplace.fit(DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6))
before = model[0].weight.detach().clone()
with contextlib.suppress(RuntimeError):
    laplace(torch.randn(2, 5), "nn", link_approx="mc")  # an input of the wrong width
print("expected: 0")
print(f"found: {float((model[0].weight - before).abs().max()):.4g}")
