"""The exact diagonal GGN by BackPACK draws from the global random state, although nothing is random."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2))
data = TensorDataset(torch.randn(5, 1, 3, 3), torch.randn(5, 2))
laplace = Laplace(model, "regression", "all", "diag", backend=BackPackGGN)
before = torch.random.get_rng_state()
laplace.fit(DataLoader(data, 5, generator=torch.Generator()))  # a loader that draws from a generator of its own
print("expected: random state kept")
print(f"found: random state {'kept' if torch.equal(before, torch.random.get_rng_state()) else 'changed'}")
