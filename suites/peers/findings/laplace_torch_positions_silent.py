"""Outputs (N, T, C): the Jacobians of BackPACK and ASDL take the positions for outputs; trace of the full GGN."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
inputs, targets = torch.randn(5, 3, 3), torch.randn(5, 3, 2)
outputs = model(inputs).reshape(-1)
expected = 0.0
for output in outputs:  # the trace of J'J
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "regression", "all", "full", backend=BackPackGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.trace()):.4g}")
