"""A convolution with circular padding is taken for one padded with zeros."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Flatten())
X = torch.randn(4, 1, 4, 4)
rows = [[torch.autograd.grad(o, list(model.parameters()), retain_graph=True) for o in model(x[None])[0]] for x in X]
expected = sum(g.pow(2).sum() for sample in rows for row in sample for g in row) / len(X)
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
