"""A layer called K times: A is a sum over the calls, not their mean, and K-FAC K times the one of K positions."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn


class Calls(nn.Module):
    """The same layer on three parts of the input, called once or three times."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        self.layer, self.once = nn.Linear(2, 2, bias=False), once

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, 3, 2)
        parts = self.layer(x) if self.once else torch.stack([self.layer(part) for part in x.unbind(1)], 1)
        return parts.tanh().sum(1)


def trace(once: bool) -> float:
    """Of the library's K-FAC."""
    torch.manual_seed(0)
    model, loss = Calls(once).double(), nn.MSELoss()
    data = [(torch.randn(5, 3, 2).double(), torch.randn(5, 2).double())]
    return float(KFACLinearOperator(model, loss, list(model.parameters()), data, fisher_type="type-2").trace)


print(f"expected: {trace(True):.4g}")
print(f"found: {trace(False):.4g}")
