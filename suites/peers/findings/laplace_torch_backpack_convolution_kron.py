"""BackPackGGN.kron of a convolution adds up the positions of the gradients first: trace of the block of its bias."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2))
inputs, targets = torch.randn(5, 1, 3, 3), torch.randn(5, 2)
between = model[0](inputs)
outputs = model[1:](between)
gradients = [torch.autograd.grad(o, between, retain_graph=True)[0] for o in outputs.reshape(-1)]
squares = sum((g**2).sum() for g in gradients)  # over positions: K-FAC of Grosse and Martens 2016, eq. 22
patches = nn.functional.unfold(inputs, 2)
expected = float(squares * (patches**2).sum() / (5 * 4))
laplace = Laplace(model, "regression", "all", "kron", backend=BackPackGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(torch.stack([f.trace() for f in laplace.H_facs.kfacs[0]]).prod()):.4g}")
