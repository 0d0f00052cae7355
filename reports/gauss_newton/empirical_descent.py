"""Descent preconditioned by the empirical Fisher, whose field is not linear: all starts and data sets at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from fishergauge.reports.gauss_newton.regression_moments import RegressionMoments

CHECKED = 50  # steps between two looks at whether every path has arrived


class Descent(NamedTuple):
    """Paths from S starts.

    Args:
        points: of the paths, the start first, ``(T, ..., S, 2)``.
        arcs: lengths of the paths, ``(..., S)``.
        arrivals: the first step after which the deviation is within the tolerance; -1 where it never was, ``(..., S)``.
    """

    points: Tensor
    arcs: Tensor
    arrivals: Tensor


def empirical_descent(
    moments: RegressionMoments,
    starts: Tensor,
    length: float,
    steps: int,
    tolerance: float,
    ridge: float = 0.0,
) -> Descent:
    r"""Steps :math:`\theta \leftarrow \theta - \eta (\hat F(\theta) + \epsilon I)^{-1} \nabla L(\theta)`.

    Args:
        moments: of the data; a step costs the same for any number of samples.
        starts: ``(..., S, 2)``.
        length: eta.
        steps: the most to take; the descent ends soon after every path is within the tolerance.
        tolerance: distance from the optimum at which a path has arrived.
        ridge: epsilon.

    Returns:
        The paths.
    """
    here, optimum = starts, moments.optimum[..., None, :]
    damping = ridge * torch.eye(2, dtype=starts.dtype, device=starts.device)
    points = [starts]
    for step in range(1, steps + 1):
        matrix = moments.empirical_fisher(here) + damping
        here = here - length * torch.linalg.solve(matrix, moments.gradient(here))
        points.append(here)
        if step % CHECKED == 0 and bool(((here - optimum).norm(dim=-1) <= tolerance).all()):
            break
    path = torch.stack(points)
    arrived = (path - optimum).norm(dim=-1) <= tolerance
    arrivals = torch.where(arrived.any(0), arrived.int().argmax(0), -1)
    return Descent(path, path.diff(dim=0).norm(dim=-1).sum(0), arrivals)
