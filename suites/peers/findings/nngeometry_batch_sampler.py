"""PMatDense asks the loader for its batch_size, which is None where a batch sampler was given."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model, X = nn.Linear(3, 2), torch.randn(4, 3)
expected = 2 * (1 + X.pow(2).sum(1)).mean()
loader = DataLoader(TensorDataset(X, X), batch_sampler=[[0], [1, 2, 3]])
try:
    found = f"{FIM(model, loader, PMatDense, 'regression').trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
