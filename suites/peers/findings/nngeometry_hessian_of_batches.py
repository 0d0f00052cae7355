"""Hessian adds the batches of a loader up even if the loss averages: two batches, and it is twice as large."""

import torch
from nngeometry.hessian import Hessian
from nngeometry.object import PMatDense
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model, X, y = nn.Linear(3, 2), torch.randn(4, 3), torch.randn(4, 2)
expected = (2 / 2) * 2 * (1 + X.pow(2).sum(1)).mean()  # of the mean over 4 samples and 2 outputs
found = Hessian(model, DataLoader(TensorDataset(X, y), batch_size=2), PMatDense, nn.MSELoss()).trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
