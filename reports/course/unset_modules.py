"""Modules whose parameters are still to be filled, so that building them draws nothing from the global generator."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def unset(make: Callable[[], Module]) -> Module:
    """The module that a function makes, on the CPU and without values: modules initialise themselves when they are made.

    Args:
        make: makes it, on the default device.

    Returns:
        The module; every parameter is to be filled.

    Example:
        >>> unset(lambda: nn.Conv2d(1, 2, 3)).weight.shape
        torch.Size([2, 1, 3, 3])
    """
    with torch.device("meta"):
        module = make()
    return module.to_empty(device="cpu")


def unset_linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer in float64 without values; see :func:`unset`.

    Args:
        inputs: D_in.
        outputs: D_out.
        bias: whether it has one.

    Example:
        >>> unset_linear(3, 2).weight.shape
        torch.Size([2, 3])
    """
    return unset(lambda: nn.Linear(inputs, outputs, bias, dtype=torch.float64))
