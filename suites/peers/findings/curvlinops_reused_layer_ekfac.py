"""EKFAC of a layer that is called twice keeps the inputs of the last call alone: its trace is not that of the GGN."""

import torch
from curvlinops import EKFACLinearOperator, GGNLinearOperator
from torch import nn


class Twice(nn.Module):
    """One square layer, tanh after each of its two calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x).tanh()).tanh()


torch.manual_seed(0)
model = Twice().double()
data = [(3 * torch.randn(5, 2).double(), torch.randn(5, 2).double())]
arguments = (model, nn.MSELoss(), list(model.parameters()), data)
print(f"expected: {(GGNLinearOperator(*arguments) @ torch.eye(4).double()).trace():.4g}")
print(f"found: {EKFACLinearOperator(*arguments, fisher_type='type-2').trace:.4g}")
