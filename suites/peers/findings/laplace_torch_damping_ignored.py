"""damping=True of the Kronecker posterior has no effect: KronDecomposed drops it when the prior precision is added."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 2, bias=False))
laplace = Laplace(model, "regression", "all", "kron", damping=True, prior_precision=4.0)
laplace.fit(DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5))
q, h = laplace.H_facs.kfacs[0]
damped = torch.kron(q + 2 * torch.eye(2), h + 2 * torch.eye(3))  # the square root of the prior precision to each factor
print(f"expected: {float(damped.logdet()):.4g}")
print(f"found: {float(laplace.log_det_posterior_precision):.4g}")
