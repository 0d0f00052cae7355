"""The grid search never resets its metric: the loss of a prior precision is the mean over all tried before it; the choice."""

import warnings

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
for parameter in model.parameters():
    parameter.data *= 3
x = torch.randn(12, 3)
labels = model(x).argmax(1)
labels[:4] = (labels[:4] + 1) % 3
data = DataLoader(TensorDataset(x, labels), 12)
laplace = Laplace(model, "classification", "all", "full")
laplace.fit(data)
losses = {}
for precision in torch.logspace(-4, 4, 21).tolist():
    laplace.prior_precision = precision
    losses[precision] = float(nn.functional.nll_loss(laplace(x).log(), labels))
warnings.simplefilter("ignore")
laplace.optimize_prior_precision(method="gridsearch", val_loader=data, grid_size=21)
print(f"expected: {min(losses, key=losses.get):.4g}")
print(f"found: {float(laplace.prior_precision):.4g}")
