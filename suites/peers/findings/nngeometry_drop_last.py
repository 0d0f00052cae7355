"""A loader that drops its last batch: the sum over the samples seen is divided by the number of all."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model, X = nn.Linear(3, 2), torch.randn(7, 3)
loader = DataLoader(TensorDataset(X, X), batch_size=4, drop_last=True)
expected = 2 * (1 + X[:4].pow(2).sum(1)).mean()
found = FIM(model, loader, PMatDense, "regression").trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
