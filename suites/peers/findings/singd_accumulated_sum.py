"""Gradient accumulation under a sum: SINGD's G kron A grows with the number of parts, as A is added up."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(8, 3), torch.randint(2, (8,))


def trace(parts):
    """Of G kron A after gradient accumulation."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.zeros_(model.bias)
    optimizer = SINGD(model, loss_average=None)
    for inputs, labels in zip(x.chunk(parts), y.chunk(parts), strict=True):
        nn.functional.cross_entropy(model(inputs), labels, reduction="sum").backward()
    return optimizer.H_Cs[""].to_dense().trace() * optimizer.H_Ks[""].to_dense().trace()


print(f"expected: {trace(1):.4g}")
print(f"found: {trace(4):.4g}")
