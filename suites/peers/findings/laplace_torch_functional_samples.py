"""Samples of functions share one normal draw among all inputs: correlation of the values at two inputs."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
laplace = Laplace(model, "regression", "all", "full")
laplace.fit(DataLoader(TensorDataset(torch.randn(12, 3), torch.randn(12, 1)), 12))
x = 3 * torch.randn(2, 3)
rows = [torch.cat([g.flatten() for g in torch.autograd.grad(o, list(model.parameters()))]) for o in (model(v)[0] for v in x)]
covariance = torch.stack(rows) @ torch.linalg.inv(laplace.posterior_precision) @ torch.stack(rows).T
samples = laplace.functional_samples(x, "glm", 20000, generator=torch.Generator().manual_seed(1))[:, :, 0]
print(f"expected: {float(covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()):.2g}")
print(f"found: {float(torch.corrcoef(samples.T)[0, 1]):.2g}")
