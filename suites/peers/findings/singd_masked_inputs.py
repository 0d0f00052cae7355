"""Ignored labels: SINGD's A still counts the inputs of samples that have no loss, so that the product is not theirs alone."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(6, 3), torch.randint(2, (6,))
x[3:] *= 10
y[3:] = -100


def trace(inputs, labels):
    """Of G kron A."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.zeros_(model.bias)
    optimizer = SINGD(model, loss_average=None)
    nn.functional.cross_entropy(model(inputs), labels, reduction="sum").backward()
    return optimizer.H_Cs[""].to_dense().trace() * optimizer.H_Ks[""].to_dense().trace()


print(f"expected: {trace(x[:3], y[:3]):.4g}")
print(f"found: {trace(x, y):.4g}")
