"""A float64 classifier ends in an error unless torch's default dtype is float64."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 3).double(), torch.randn(4, 3).double()
p = model(X).softmax(1)
expected = ((1 - p.pow(2).sum(1)) * (1 + X.pow(2).sum(1))).mean()
try:
    found = f"{FIM(model, (X, X), PMatDense, 'classif_logits').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
