"""log_prob of a posterior over a subnetwork takes neither the vector of all weights nor that of the subnetwork."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
laplace = Laplace(model, "regression", "subnetwork", "full", subnetwork_indices=torch.arange(5))
laplace.fit(DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6))
found = []
for value in (laplace.mean, laplace.mean_subnet):
    try:
        laplace.log_prob(value)
        found.append("a number")
    except Exception as error:
        found.append(type(error).__name__)
print("expected: a number for one of them")
print("found: " + ("a number for one of them" if "a number" in found else ", ".join(found)))
