"""A model whose outputs are not contiguous in memory ends in an error of view."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn


class _Transposed(nn.Module):
    def forward(self, inputs):
        return inputs.flatten(2).mT


torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 2, 2), _Transposed())
X = torch.randn(4, 1, 3, 3)
rows = [[torch.autograd.grad(o, list(model.parameters()), retain_graph=True) for o in model(x[None]).reshape(-1)] for x in X]
expected = sum(g.pow(2).sum() for sample in rows for row in sample for g in row) / len(X)
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
