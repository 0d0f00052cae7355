"""K-FAC of the empirical Fisher adds the terms of a sample before it squares them; EFLinearOperator does not."""

import torch
from curvlinops import EFLinearOperator, KFACLinearOperator
from torch import nn


class Repeated(nn.Module):
    """One linear layer, used once a sample, whose outputs stand at five positions with a term of the loss each."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[:, None].expand(-1, 5, -1)


torch.manual_seed(0)
model = Repeated().double()
inputs, targets = torch.randn(4, 3).double(), torch.randn(4, 5, 2).double()
arguments = (model, nn.MSELoss(), [model.layer.bias], [(inputs, targets)])
residuals = 2 * (model(inputs) - targets).flatten(0, 1)  # gradients of the terms in the bias; a mean over 4 * 5 * 2 numbers
expected = float((residuals.T @ residuals / 40).trace().detach())
assert abs(expected - float((EFLinearOperator(*arguments) @ torch.eye(2).double()).trace())) < 1e-9
print(f"expected: {expected:.4g}")
print(f"found: {KFACLinearOperator(*arguments, fisher_type='empirical').trace:.4g}")
