"""The trace of a GramMatrix, (O, N, O, N), and its product with a vector end in errors of shape."""

import torch
from nngeometry.gram import GramMatrix
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 1), torch.randn(6, 3)
expected = (1 + X.pow(2).sum(1)).sum()
try:
    found = f"{GramMatrix(model, (X, X)).trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
