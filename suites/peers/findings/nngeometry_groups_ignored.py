"""A convolution with groups is taken for one without: entries for weights that do not exist, and a trace that is too large."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDiag
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(2, 2, 2, groups=2), nn.Flatten())
X = torch.randn(4, 2, 3, 3)
rows = [[torch.autograd.grad(o, list(model.parameters()), retain_graph=True) for o in model(x[None])[0]] for x in X]
expected = sum(g.pow(2).sum() for sample in rows for row in sample for g in row) / len(X)
try:
    found = f"{FIM(model, (X, X), PMatDiag, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
