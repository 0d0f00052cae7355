"""state_dict hands out H itself: an approximation that is loaded from it and fitted further changes the first one; trace."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
loader = DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6)
first = Laplace(model, "regression", "all", "full")
first.fit(loader)
expected = float(first.posterior_precision.trace())
second = Laplace(model, "regression", "all", "full")
second.load_state_dict(first.state_dict())
second.fit(loader, override=False)
print(f"expected: {expected:.4g}")
print(f"found: {float(first.posterior_precision.trace()):.4g}")
