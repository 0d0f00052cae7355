"""The diagonal empirical Fisher of the last layer by CurvlinopsEF is zero: its sum."""

import torch
from laplace import Laplace
from laplace.curvature import CurvlinopsEF
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
inputs, labels = torch.randn(7, 3), torch.randint(0, 3, (7,))
expected = 0.0
for x, label in zip(inputs, labels, strict=True):
    gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), label), list(model[2].parameters()))
    expected += float(sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "classification", "last_layer", "diag", backend=CurvlinopsEF)
laplace.fit(DataLoader(TensorDataset(inputs, labels), 7))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.sum()):.4g}")
