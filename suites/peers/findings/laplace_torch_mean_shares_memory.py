"""After a prediction by sampled networks the model's parameters are views of laplace.mean: training moves the posterior."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
x = torch.randn(6, 3)
laplace = Laplace(model, "regression", "all", "full")
laplace.fit(DataLoader(TensorDataset(x, torch.randn(6, 2)), 6))
before = laplace.mean.clone()
laplace(x, "nn", link_approx="mc")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(x).sum().backward()
optimizer.step()
print("expected: 0")
print(f"found: {float((laplace.mean - before).abs().max()):.4g}")
