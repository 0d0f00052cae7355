"""The default Kronecker factors add up the gradients of the terms of a position before squaring: trace of the bias block."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Repeated(nn.Module):
    """One layer, used once for a datum, whose outputs stand at five positions."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)[:, None].expand(-1, 5, -1)  # five terms of the loss for one position


torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
laplace = Laplace(Repeated(), "regression", "all", "kron")
laplace.fit(DataLoader(TensorDataset(torch.randn(4, 3), torch.randn(4, 5, 2)), 4))
print(f"expected: {4.0 * 5 * 2:.4g}")  # the loss is half a square in each of 4 x 5 x 2 outputs, each with one bias
print(f"found: {float(laplace.H_facs.kfacs[1][0].trace()):.4g}")
