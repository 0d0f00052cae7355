"""A diagonal prior precision for a subnetwork is documented and cannot be given: one length is refused at once, one later."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
found = []
for length in (5, 26):  # of the subnetwork, of the whole network
    laplace = Laplace(model, "regression", "subnetwork", "full", subnetwork_indices=torch.arange(5))
    laplace.fit(DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6))
    try:
        laplace.prior_precision = torch.ones(length)
        _ = laplace.posterior_precision
        found.append("accepted")
    except ValueError:
        found.append("refused")
print("expected: accepted for one of them")
print(f"found: {'accepted for one of them' if 'accepted' in found else ', '.join(found)}")
