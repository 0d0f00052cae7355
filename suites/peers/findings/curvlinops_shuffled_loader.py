"""A shuffling loader, which GGN, Hessian and K-FAC allow, is refused: the check compares the last batches, not the totals."""

import torch
from curvlinops import GGNLinearOperator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Linear(3, 2)
loader = DataLoader(TensorDataset(torch.randn(6, 3), torch.randn(6, 2)), batch_size=2, shuffle=True)
assert not GGNLinearOperator.FIXED_DATA_ORDER  # "Whether the data loader must return the same data for every iteration"
try:
    operator = GGNLinearOperator(model, nn.MSELoss(), list(model.parameters()), loader)
    found = "a matrix" if (operator @ torch.eye(8)).isfinite().all() else "NaN"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix")
print(f"found: {found}")
