"""Linear layers whose entries are still to be filled."""

import torch
from torch import nn


def unset_linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer in float64 on the CPU without values: ``nn.Linear`` would draw them from torch's global generator.

    Args:
        inputs: D_in.
        outputs: D_out.
        bias: whether it has one.

    Example:
        >>> unset_linear(3, 2).weight.shape
        torch.Size([2, 3])
    """
    return nn.Linear(inputs, outputs, bias, dtype=torch.float64, device="meta").to_empty(device="cpu")
