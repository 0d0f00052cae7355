"""A refusal leaves hooks on the model: after PMatKFAC refused a LayerNorm, PMatDense of the same model fails too."""

from contextlib import suppress

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense, PMatKFAC
from torch import nn


def _trace(model):
    return FIM(model, (X, X), PMatDense, "regression").trace().item()


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
X = torch.randn(4, 3)
rows = [[torch.autograd.grad(o, list(model.parameters()), retain_graph=True) for o in model(x[None])[0]] for x in X]
expected = sum(g.pow(2).sum() for sample in rows for row in sample for g in row) / len(X)
with suppress(NotImplementedError):
    FIM(model, (X, X), PMatKFAC, "regression")  # K-FAC knows no LayerNorm
try:
    found = f"{_trace(model):.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
