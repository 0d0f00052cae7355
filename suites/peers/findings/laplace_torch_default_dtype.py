"""A model in double precision under torch's usual default: CurvlinopsGGN.full fails or has the accuracy of single precision."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
inputs, targets = torch.randn(5, 3).double(), torch.randn(5, 2).double()
rows = [
    torch.cat([g.flatten() for g in torch.autograd.grad(o, list(model.parameters()), retain_graph=True)])
    for o in model(inputs).reshape(-1)
]
exact = torch.stack(rows).T @ torch.stack(rows)
laplace = Laplace(model, "regression", "all", "full")
try:
    laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
    error = float((laplace.H - exact).norm() / exact.norm())
    found = "below 1e-12" if error < 1e-12 else f"{error:.0e}"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: below 1e-12")
print(f"found: {found}")
