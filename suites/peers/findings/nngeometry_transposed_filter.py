"""A ConvTranspose2d that was used in float32 and then made float64 ends in an error: a filter is kept for good."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model, X = nn.Sequential(nn.ConvTranspose2d(1, 1, 2), nn.Flatten()), torch.randn(3, 1, 2, 2)
expected = FIM(model, (X, X), PMatDense, "regression").trace().item()
model, X = model.double(), X.double()
torch.set_default_dtype(torch.float64)
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
