"""Gradient accumulation over parts of unequal size (5, 2, 1): SINGD's G kron A is not that of the whole mini-batch."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(8, 3), torch.randint(2, (8,))


def trace(sizes):
    """Of G kron A after gradient accumulation."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.zeros_(model.bias)
    optimizer = SINGD(model, loss_average="batch")
    for inputs, labels in zip(x.split(sizes), y.split(sizes), strict=True):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        (loss * len(inputs) / len(x)).backward()
    return optimizer.H_Cs[""].to_dense().trace() * optimizer.H_Ks[""].to_dense().trace()


assert torch.isclose(trace([8]), trace([4, 4]))  # parts of one size are right
print(f"expected: {trace([8]):.4g}")
print(f"found: {trace([5, 2, 1]):.4g}")
