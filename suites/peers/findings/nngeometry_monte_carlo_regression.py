"""FIM_MonteCarlo documents the variant 'regression' and raises a NotImplementedError without a message."""

import torch
from nngeometry.metrics import FIM_MonteCarlo
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 2), torch.randn(4, 3)
try:
    FIM_MonteCarlo(model, (X, X), PMatDense, "regression")
    found = "a matrix"
except Exception as error:
    found = type(error).__name__
print("expected: a matrix")
print(f"found: {found}")
