"""backend_kwargs is documented to set the number of Monte-Carlo samples; no backend takes the num_samples of GGNInterface."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN, BackPackGGN, CurvlinopsGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), 6)
found = []
for backend in (CurvlinopsGGN, AsdlGGN, BackPackGGN):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    options = {"stochastic": True, "num_samples": 4}
    try:
        Laplace(model, "regression", "all", "full", backend=backend, backend_kwargs=options).fit(loader)
        found.append("a matrix")
    except Exception as error:
        found.append(type(error).__name__)
print("expected: a matrix, a matrix, a matrix")
print(f"found: {', '.join(found)}")
