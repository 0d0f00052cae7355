"""A posterior over two parameters by numerical integration on a grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class GridPosterior:
    r"""Points and masses of a density over the plane, by the trapezoidal rule.

    The rule converges exponentially for densities that are analytic and die out at the edges: twice the spacing, which
    :meth:`coarse` gives, must say the same.

    Args:
        points: ``(G, 2)``, a square of them, row after row.
        log_density: at the points, not normalised, ``(G,)``.
        log_cell: logarithm of the area of a cell.

    Reference:
        Trefethen and Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 56 (2014), theorem 5.1.
    """

    points: Tensor
    log_density: Tensor
    log_cell: float

    @property
    def masses(self) -> Tensor:
        """The probability of each point, ``(G,)``."""
        return self.log_density.softmax(0)

    @property
    def log_evidence(self) -> Tensor:
        """The logarithm of the integral of the density: a scalar."""
        return self.log_density.logsumexp(0) + self.log_cell

    @property
    def mean(self) -> Tensor:
        """``(2,)``."""
        return self.masses @ self.points

    @property
    def covariance(self) -> Tensor:
        """``(2, 2)``."""
        offset = self.points - self.mean
        return (self.masses * offset.T) @ offset

    def expectation(self, values: Tensor) -> Tensor:
        """The mean of functions from their values at the points, ``(G, ...)``: ``(...)``."""
        expectation: Tensor = torch.tensordot(self.masses, values, 1)
        return expectation

    def coarse(self) -> "GridPosterior":
        """Every other point in both directions."""
        side = math.isqrt(len(self.points))
        kept = torch.arange(len(self.points)).reshape(side, side)[::2, ::2].flatten()
        return GridPosterior(self.points[kept], self.log_density[kept], self.log_cell + math.log(4))


def grid_posterior(
    log_density: LogDensity, width: float, side: int = 61, rounds: int = 7, reach: float = 10.0
) -> GridPosterior:
    """Integrate a density that has one mode.

    The first square is a wide one around zero; each further one is placed by mean and covariance of the last, with edges
    ``reach`` standard deviations away along its axes. So the placement depends on no approximation.

    Args:
        log_density: of points ``(G, 2)``: ``(G,)``.
        width: half the side of the first square.
        side: number of points in each direction, odd.
        rounds: number of squares; the last are alike.
        reach: of each but the first, in standard deviations.

    Returns:
        The grid of the last round.
    """
    steps = torch.linspace(-1, 1, side, dtype=torch.float64)
    unit = torch.cartesian_prod(steps, steps)
    centre, root = torch.zeros(2, dtype=torch.float64), width * torch.eye(2, dtype=torch.float64)
    for _ in range(rounds):
        points = centre + unit @ root.T
        log_cell = float(torch.linalg.slogdet(root)[1]) + 2 * math.log(2 / (side - 1))
        found = GridPosterior(points, log_density(points), log_cell)
        # a cell's own spread keeps a square whose mass lies in one point from collapsing
        spread = found.covariance + root @ root.T * (2 / (side - 1)) ** 2 / 12
        centre, root = found.mean, reach * torch.linalg.cholesky(spread)
    return found
