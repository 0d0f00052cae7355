"""Circular padding of a convolution is taken for zeros by all backends that expand inputs: trace of the diagonal GGN."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(), nn.Flatten(), nn.Linear(18, 2))
inputs, targets = torch.randn(5, 1, 3, 3), torch.randn(5, 2)
expected = 0.0
for output in model(inputs).reshape(-1):
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients[:2]))
laplace = Laplace(model, "regression", "all", "diag", backend=BackPackGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H[:20].sum()):.4g}")
