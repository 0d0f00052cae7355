"""The generator given to a prediction with link_approx='mc' is checked, then not used: two calls with one seed differ."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
laplace = Laplace(model, "classification", "all", "full")
laplace.fit(DataLoader(TensorDataset(torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])), 6))
x = torch.randn(2, 3)
differences = []
for kind in ("glm", "nn"):
    one, two = (laplace(x, kind, link_approx="mc", generator=torch.Generator().manual_seed(1)) for _ in range(2))
    differences.append(float((one - two).abs().max()))
print("expected: equal, equal")
print("found: " + ", ".join("equal" if difference == 0 else "not equal" for difference in differences))
