"""With momentum, Shampoo mixes preconditioned gradients into the gradients that its statistics sum.

Statistics of gradients 10 times as large are 100 times as large."""

import torch
from torch import nn
from torch_optimizer import Shampoo


def trace(scale):
    """Of L after two steps."""
    weight = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    optimizer = Shampoo([weight], lr=1e-300, momentum=0.9, epsilon=1e-9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        weight.grad = scale * torch.randn(3, 2, dtype=torch.float64, generator=generator)
        optimizer.step()
    return optimizer.state[weight]["precond_0"].trace()


print("expected: 100")
print(f"found: {trace(10.0) / trace(1.0):.4g}")
