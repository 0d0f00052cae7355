"""GramMatrix goes through the loader once for each batch: if it shuffles, rows and columns are of different samples."""

import torch
from nngeometry.gram import GramMatrix
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model, X = nn.Linear(3, 1), torch.randn(6, 3)
gram = GramMatrix(model, DataLoader(TensorDataset(X, X), batch_size=2, shuffle=True)).to_torch().reshape(6, 6)
expected = (1 + X.pow(2).sum(1)).sum()  # in whatever order
found = gram.trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
