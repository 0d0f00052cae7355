"""A batch whose labels are all ignored stops every operator of a mean: NaN, reported as data that are not deterministic."""

import torch
from curvlinops import GGNLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4)
data = [(torch.randn(3, 3), torch.tensor([0, 1, 2])), (torch.randn(2, 3), torch.tensor([-100, -100]))]
try:
    operator = GGNLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), data)
    found = "a matrix" if (operator @ torch.eye(16)).isfinite().all() else "NaN"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix")
print(f"found: {found}")
