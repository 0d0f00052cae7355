"""Inverses of the two Kronecker factors of a layer, each damped by its share."""

import math

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.factored_blocks import kept
from fishergauge.reference.kfac import pi_of


def damped_inverses(
    input_factor: Tensor, output_factor: Tensor, damping: float, balanced: bool = True
) -> tuple[Tensor, Tensor]:
    r"""The two factors of the inverse with factored Tikhonov damping.

    .. math:: (A + \pi \sqrt\lambda I)^{-1}, \quad (G + \tfrac{\sqrt\lambda}{\pi} I)^{-1}, \qquad
        \pi = \sqrt{\frac{\operatorname{tr} A / \dim A}{\operatorname{tr} G / \dim G}}

    The trace and not the sum of all entries: it does not change with the basis, and (A, G) and (c A, G / c), which are
    the same matrix, have the same damped inverse.

    Args:
        input_factor: A, positive semi-definite.
        output_factor: G, positive semi-definite.
        damping: lambda, not negative; pseudo-inverses at zero.
        balanced: otherwise pi is one.

    Returns:
        The inverses of A and G, symmetric; their Kronecker product is the inverse of the block.

    Raises:
        ProblemError: the damping is negative, or a factor has entries that are NaN or infinite.

    Example:
        >>> damped_inverses(torch.eye(1), 4 * torch.eye(1), 4.0)  # pi is one half
        (tensor([[0.5000]]), tensor([[0.1250]]))

    Reference:
        Martens and Grosse, ICML 2015, sec. 6.3.
    """
    if not damping >= 0:
        raise ProblemError(f"damping must not be negative, got {damping}")
    root = math.sqrt(damping)
    pi = pi_of(input_factor, output_factor) if balanced else 1.0
    return damped_inverse(input_factor, pi * root), damped_inverse(output_factor, root / pi)


def damped_inverse(factor: Tensor, damping: float) -> Tensor:
    """(F + lambda I)^-1 of a positive semi-definite F; the pseudo-inverse at zero damping."""
    inverse: Tensor
    if not bool(factor.isfinite().all()):
        raise ProblemError("a factor has entries that are NaN or infinite: the training diverged, or the data have some")
    if damping > 0:
        damped = factor.clone()
        damped.diagonal().add_(damping)
        root, info = torch.linalg.cholesky_ex(damped)
        if not int(info):
            inverse = torch.cholesky_inverse(root)
            return inverse
    values, vectors = torch.linalg.eigh(factor)  # also where rounding leaves F + lambda I indefinite
    reciprocals = 1 / (values.clamp(min=0) + damping) if damping > 0 else torch.where(kept(values), 1 / values, 0.0)
    inverse = (vectors * reciprocals) @ vectors.mT
    return inverse
