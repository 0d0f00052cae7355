"""The Hessian of a network with layer normalisation by CurvlinopsHessian is not symmetric: norm of H - H' over that of H."""

import torch
from laplace.curvature import CurvlinopsHessian
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 3))
inputs, labels = torch.randn(4, 3, 2), torch.tensor([0, 1, 2, 0])
model = nn.Sequential(model, nn.Flatten(), nn.Linear(9, 3))
hessian = CurvlinopsHessian(model, "classification").full(inputs, labels, N=4)[1]
print("expected: below 1e-12")
asymmetry = float((hessian - hessian.T).norm() / hessian.norm())
print(f"found: {'below 1e-12' if asymmetry < 1e-12 else f'{asymmetry:.2g}'}")
