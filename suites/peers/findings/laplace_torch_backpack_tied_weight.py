"""Two layers with one weight: BackPackGGN keeps the gradient of one of them; trace of the full GGN."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
model[2].weight = model[0].weight
inputs, targets = torch.randn(5, 3), torch.randn(5, 3)
expected = 0.0
for output in model(inputs).reshape(-1):
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "regression", "all", "full", backend=BackPackGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.trace()):.4g}")
