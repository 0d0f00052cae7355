"""Random invertible matrices with a given condition number."""

import math

import torch
from torch import Tensor


def spread(size: int, kappa: float) -> Tensor:
    """Positive numbers, evenly spaced on a logarithmic scale between sqrt(kappa) and 1/sqrt(kappa), ``(size,)`` in float64."""
    if size == 1:
        return torch.full((1,), math.sqrt(kappa), dtype=torch.float64)
    return torch.logspace(0.5, -0.5, size, base=kappa, dtype=torch.float64) if kappa > 1 else torch.ones(size).double()


def orthogonal(size: int, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix, ``(size, size)`` in float64, Haar distributed up to signs."""
    q: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return q


def conditioned(size: int, kappa: float, generator: torch.Generator) -> Tensor:
    """U diag(s) V with U and V orthogonal and the singular values of :func:`spread`; orthogonal for kappa = 1.

    Example:
        >>> round(float(torch.linalg.cond(conditioned(3, 100.0, torch.Generator().manual_seed(0)))), 6)
        100.0
    """
    left, right = orthogonal(size, generator), orthogonal(size, generator)
    return left @ (spread(size, kappa)[:, None] * right)


def permutation(size: int, generator: torch.Generator) -> Tensor:
    """A permutation matrix other than the identity where there is one, ``(size, size)`` in float64."""
    order = torch.randperm(size, generator=generator)
    if bool((order == torch.arange(size)).all()):
        order = order.roll(1)
    return torch.eye(size, dtype=torch.float64)[order]
