"""A layer that is called twice: AsdlGGN multiplies both gradients by the input of the last call; trace of the full GGN."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
shared = nn.Linear(3, 3)
model = nn.Sequential(shared, shared, nn.Linear(3, 2))
for parameter in model.parameters():
    nn.init.constant_(parameter, 0.5)  # all gradients are positive
inputs, targets = torch.rand(5, 3), torch.randn(5, 2)
expected = 0.0
for output in model(inputs).reshape(-1):
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "regression", "all", "full", backend=AsdlGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.trace()):.4g}")
