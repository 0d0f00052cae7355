"""With several loss terms a sample, K-FAC of type 2 adds their gradients in a layer before it squares them."""

import torch
from curvlinops import KFACLinearOperator
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
loss = nn.MSELoss()

bias = model.layer.bias.detach()  # without sharing the block of a bias is exact in K-FAC
outputs = lambda b: (inputs @ model.layer.weight.detach().T + b)[:, None].expand(-1, 5, -1)  # noqa: E731
hessian = torch.func.hessian(lambda b: loss(outputs(b), targets))(bias)

operator = KFACLinearOperator(model, loss, [model.layer.bias], [(inputs, targets)], fisher_type="type-2")
print(f"expected: {hessian.trace():.4g}")
print(f"found: {operator.trace:.4g}")
