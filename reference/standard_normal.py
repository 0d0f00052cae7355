"""Standard normal draws from a given generator."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def standard_normal(draws: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal values; no global generator is touched.

    Args:
        draws: S, positive.
        like: gives shape, dtype and device of one draw.
        generator: source of the numbers, on the same device.

    Returns:
        ``(S, ...)``.

    Raises:
        ProblemError: there is nothing to draw, or no generator on the device.

    Example:
        >>> standard_normal(3, torch.zeros(2), torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """
    if not isinstance(draws, int) or draws < 1:
        raise ProblemError(f"the number of draws is a positive integer, got {draws}")
    if not isinstance(generator, torch.Generator) or generator.device.type != like.device.type:
        where = generator.device if isinstance(generator, torch.Generator) else generator
        raise ProblemError(f"draws need a torch.Generator on {like.device}, got {where}")
    return torch.randn(draws, *like.shape, generator=generator, dtype=like.dtype, device=like.device)
