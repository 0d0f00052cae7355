"""Damped steps by conjugate gradients, in float64, with products in the precision of the problem."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference.truncated_conjugate_gradients import Truncated, truncated_conjugate_gradients

TOLERANCE = 1e-10
"""On the residual, relative to the right-hand side; float32 gets eight units of round-off."""


class Products:
    """A matrix as a function of vectors ``(P,)`` in float64.

    Args:
        size: P.
        multiply: the product.
    """

    def __init__(self, size: int, multiply: Callable[[Tensor], Tensor]) -> None:
        self.shape, self.multiply = (size, size), multiply

    def __matmul__(self, vectors: Tensor, /) -> Tensor:
        """The product with ``(P,)``."""
        return self.multiply(vectors)


def damped_step(
    multiply: Callable[[Tensor], Tensor], right: Tensor, damping: float, norm: float, tolerance: float = TOLERANCE
) -> Truncated:
    r"""The solution of :math:`(A + \delta I) x = b` from products, within the number of products that a right A needs.

    For A positive semi-definite with :math:`|A|_2 \le a` the residual falls below :math:`\epsilon |b|` within

    .. math:: k = \lceil \tfrac12 \sqrt\kappa \, \log(2 \sqrt\kappa / \epsilon) \rceil, \qquad \kappa = 1 + a / \delta

    products. Twice as many are allowed, for rounding. Five vectors ``(P,)`` are held, in float64.

    Args:
        multiply: A v, ``(P,)``.
        right: b, ``(P,)`` in float64.
        damping: delta, positive.
        norm: a, at least the largest eigenvalue of a right A.
        tolerance: epsilon.

    Returns:
        The last iterate and why it is the last; ``"residual"`` where the tolerance is met.

    Example:
        >>> damped_step(lambda v: 2 * v, torch.ones(3, dtype=torch.float64), 1.0, 2.0).solution
        tensor([0.3333, 0.3333, 0.3333], dtype=torch.float64)

    Reference:
        Saad, "Iterative methods for sparse linear systems", 2nd ed. (2003), eq. 6.128; the root of kappa inside the logarithm
        is for the residual in place of the error.
    """
    root = math.sqrt(1 + norm / damping)
    most = 2 * math.ceil(root / 2 * math.log(2 * root / tolerance))
    return truncated_conjugate_gradients(
        Products(len(right), multiply), right, damping, tolerance=tolerance, iterations=max(4, most)
    )


def tolerance_of(dtype: torch.dtype) -> float:
    """The tolerance that products in a precision are good for."""
    return max(TOLERANCE, 4 * torch.finfo(dtype).eps)
