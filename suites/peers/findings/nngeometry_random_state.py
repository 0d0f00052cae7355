"""A pair of tensors instead of a loader: torch's global generator moves although nothing is drawn."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

model, X = nn.Linear(3, 2), torch.ones(4, 3)
torch.manual_seed(0)
expected = torch.rand(1).item()
torch.manual_seed(0)
FIM(model, (X, X), PMatDense, "regression")
found = torch.rand(1).item()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
