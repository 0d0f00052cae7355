"""Parameters of a module that ASDL does not know (Conv1d) are left out: shapes clash where a refusal would be expected."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(6, 2))
laplace = Laplace(model, "regression", "all", "full", backend=AsdlGGN)
try:
    laplace.fit(DataLoader(TensorDataset(torch.randn(5, 1, 4), torch.randn(5, 2)), 5))
    found = "a matrix or a refusal"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a matrix or a refusal")
print(f"found: {found}")
