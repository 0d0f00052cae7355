r"""Quadratic forms with random vectors: their mean estimates a trace, and how far it may be off is known for every spectrum."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.self_normalised import critical

Multiply = Callable[[Tensor], Tensor]
FRESH = 16
"""Vectors beside the shared ones in the test of a trace."""
CHUNK = 4
"""Columns that are multiplied at a time, as a product of K columns may take several times K vectors."""


@dataclass(frozen=True)
class Forms:
    r"""Quadratic forms of a symmetric matrix with independent standard normal vectors.

    Args:
        values: :math:`x_j' D x_j`.
        squares: :math:`|D x_j|^2`.
    """

    values: tuple[float, ...]
    squares: tuple[float, ...]

    @property
    def trace(self) -> float:
        """The mean of the forms, which is Hutchinson's estimate of the trace."""
        return math.fsum(self.values) / len(self.values)

    def deviation(self, level: float) -> float:
        """How far the mean may be from the trace, exceeded with a probability of at most ``level`` for every spectrum."""
        vectors = len(self.values)
        return critical(vectors, level) * math.sqrt(math.fsum(self.squares)) / vectors


def hutchinson(vectors: Tensor, products: Tensor) -> Forms:
    r"""The forms of a symmetric matrix; their mean is an unbiased estimate of its trace.

    .. math:: \frac1m \sum_j x_j' D x_j, \qquad \text{variance } \tfrac2m |D|_F^2

    Args:
        vectors: x, ``(P, m)``, independent standard normal entries.
        products: D x, ``(P, m)``.

    Returns:
        The forms and the squared lengths of the products.

    Example:
        >>> import torch
        >>> vectors = torch.ones(2, 1, dtype=torch.float64)
        >>> hutchinson(vectors, 3 * vectors).trace
        6.0

    Reference:
        Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines",
        Communications in Statistics 19 (1990); with normal vectors as in Girard (1989).
    """
    values, squares = [], []
    for x, y in zip(vectors.unbind(1), products.unbind(1), strict=True):
        wide = y.double()
        values.append(float(x.double() @ wide))
        squares.append(float(wide @ wide))
    return Forms(tuple(values), tuple(squares))


def forms_of(case: ProbeCase, products: Tensor, multiply: Multiply) -> Forms:
    """The forms with the shared vectors and with fresh ones, 24 in all.

    ``CHUNK`` vectors of length P, and as many as their multiplication needs.

    Args:
        case: gives the vectors.
        products: of the shared vectors, ``(P, 8)``.
        multiply: V to D V, both ``(P, K)``; called with ``FRESH`` columns in all.
    """
    found = hutchinson(case.shared()[0], products)
    values, squares = list(found.values), list(found.squares)
    for part in range(FRESH // CHUNK):
        fresh = case.normal(CHUNK, "fresh", part)
        more = hutchinson(fresh, multiply(fresh))
        values += more.values
        squares += more.squares
    return Forms(tuple(values), tuple(squares))
