"""The diagonal empirical Fisher by CurvlinopsEF maps over single samples, which a recurrent layer cannot follow."""

import torch
from laplace import Laplace
from laplace.curvature import CurvlinopsEF
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Recurrent(nn.Module):
    """The last state of a gated recurrent layer, classified."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.GRU(2, 2, batch_first=True), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(4, 3, 2), torch.tensor([0, 1, 2, 0])), 4)
try:
    Laplace(Recurrent(), "classification", "all", "diag", backend=CurvlinopsEF).fit(loader)
    found = "a diagonal or a refusal"
except NotImplementedError:
    found = "a diagonal or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {str(error)[:60]}"
print("expected: a diagonal or a refusal")
print(f"found: {found}")
