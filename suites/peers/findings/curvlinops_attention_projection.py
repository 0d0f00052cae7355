"""The output projection of an attention is a Linear that is never called: K-FAC accepts it and ends in a KeyError."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn


class Attention(nn.Module):
    """Self-attention, averaged over the positions."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0].mean(1)


torch.manual_seed(0)
model, data = Attention(), [(torch.randn(5, 3, 4), torch.randn(5, 4))]
try:
    operator = KFACLinearOperator(model, nn.MSELoss(), list(model.attention.out_proj.parameters()), data)
    found = "a matrix or a refusal" if (operator @ torch.eye(20)).isfinite().all() else "NaN"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix or a refusal")
print(f"found: {found}")
