"""With momentum, Shampoo mixes preconditioned gradients into the gradients that its statistics sum.

Statistics of gradients 10 times as large are 100 times as large."""

import torch
from pytorch_optimizer import Shampoo
from torch import nn


def trace(scale):
    """Of L after two steps."""
    weight = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    optimizer = Shampoo([weight], lr=0.0, momentum=0.9, matrix_eps=1e-9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        weight.grad = scale * torch.randn(3, 2, dtype=torch.float64, generator=generator)
        optimizer.step()
    return optimizer.state[weight]["pre_cond_0"].trace()


print("expected: 100")
print(f"found: {trace(10.0) / trace(1.0):.4g}")
