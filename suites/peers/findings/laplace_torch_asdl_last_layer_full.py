"""The last layer with the full empirical Fisher or Hessian of ASDL ends in a RuntimeError."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlEF, AsdlHessian
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(7, 3), torch.randint(0, 3, (7,))), 7)
found = []
for backend in (AsdlEF, AsdlHessian):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    try:
        Laplace(model, "classification", "last_layer", "full", backend=backend).fit(loader)
        found.append("a matrix")
    except NotImplementedError:
        found.append("a refusal")
    except Exception as error:
        found.append(type(error).__name__)
print("expected: a matrix, a matrix")
print(f"found: {', '.join(found)}")
