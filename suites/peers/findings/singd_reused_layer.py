"""A layer called twice: SINGD adds both calls' factors, and doubles what one call at two positions gives."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
first, second, y = torch.rand(8, 3), torch.rand(8, 3), torch.randint(2, (8,))


def trace(outputs_of):
    """Of G kron A."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.zeros_(model.bias)
    optimizer = SINGD(model, loss_average="batch")
    nn.functional.cross_entropy(outputs_of(model), y).backward()  # one function of the parameters in both ways
    return optimizer.H_Cs[""].to_dense().trace() * optimizer.H_Ks[""].to_dense().trace()


print(f"expected: {trace(lambda layer: layer(torch.stack([first, second], 1)).sum(1)):.4g}")
print(f"found: {trace(lambda layer: layer(first) + layer(second)):.4g}")
