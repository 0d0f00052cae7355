"""SOAP turns its eigenbases by a QR decomposition in single precision, also for parameters in double precision."""

import torch
from pytorch_optimizer import SOAP
from torch import nn

torch.manual_seed(0)
weight = nn.Parameter(torch.zeros(8, 8, dtype=torch.float64))
optimizer = SOAP([weight], precondition_frequency=1)
for _ in range(3):
    weight.grad = torch.randn(8, 8, dtype=torch.float64)
    optimizer.step()
basis = optimizer.state[weight]["Q"][0]
deviation = (basis.T @ basis - torch.eye(8)).abs().max()
print("expected: orthogonal to 1e-12")
print(f"found: orthogonal to {'1e-12' if deviation < 1e-12 else '1e-5, not to 1e-12' if deviation < 1e-5 else deviation}")
