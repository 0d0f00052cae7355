"""A backward pass that is thrown away by ``zero_grad``: SINGD keeps its factors and adds them to those of the next step."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(8, 3), torch.randint(2, (8,))


def trace(discarded):
    """Of A, after a backward pass that was thrown away."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.zeros_(model.bias)
    optimizer = SINGD(model)
    for scale in (discarded, 1.0):
        optimizer.zero_grad()
        if scale:
            nn.functional.cross_entropy(model(scale * x), y).backward()
    return optimizer.H_Ks[""].to_dense().trace()


print(f"expected: {trace(0.0):.4g}")
print(f"found: {trace(5.0):.4g}")
