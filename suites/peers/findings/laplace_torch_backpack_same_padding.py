"""Padding given as a word: BackPackGGN takes it for no padding in its Jacobians; trace of the full GGN of the convolution."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Conv1d(1, 2, 3, padding="same"), nn.Tanh(), nn.Flatten(), nn.Linear(10, 2))
inputs, targets = torch.randn(4, 1, 5), torch.randn(4, 2)
expected = 0.0
for output in model(inputs).reshape(-1):
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients[:2]))
laplace = Laplace(model, "regression", "all", "full", backend=BackPackGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 4))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.diagonal()[:8].sum()):.4g}")
