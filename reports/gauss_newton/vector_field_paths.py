"""Paths of the three methods, and how straight they are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import ggn
from fishergauge.reports.gauss_newton.empirical_descent import Descent, empirical_descent
from fishergauge.reports.gauss_newton.linear_descent import linear_descent
from fishergauge.reports.gauss_newton.log_normal_regression import PRIOR_VARIANCE, SAMPLES, Data, regression_problem
from fishergauge.reports.gauss_newton.regression_moments import RegressionMoments
from fishergauge.suites.closeness import rounding_bound

METHODS = ("gradient", "ggn", "empirical")
MULTIPLIERS: Mapping[str, float] = {"gradient": 1 / 3, "ggn": 1.0, "empirical": 3.0}
READINGS = ("posterior", "likelihood", "mixed")  # prior in gradient and matrix, in neither, in the gradient alone
PUBLISHED_READINGS: Mapping[str, str] = {"gradient": "posterior", "ggn": "posterior", "empirical": "mixed"}
HORIZON = 50.0  # length of the published paths, 50,000 steps of 0.001
RIDGE, TOLERANCE = 1e-8, 1e-6
KEPT_POINTS = 160
PRECISION = 1 / (PRIOR_VARIANCE * SAMPLES)


def steps_of(step: float) -> int:
    """How many steps make up the published stretch, 49,999 of 0.001."""
    return round(HORIZON / step) - 1


def precision_of(reading: str) -> float:
    """Of the prior in the objective, over N."""
    return 0.0 if reading == "likelihood" else PRECISION


def matrix_of(method: str, reading: str, moments: RegressionMoments, data: Data, ridge: float) -> Tensor:
    """What preconditions gradient descent or natural-gradient descent; the GGN by automatic differentiation."""
    identity = torch.eye(2, dtype=moments.second.dtype, device=moments.second.device)
    if method == "gradient":
        return identity
    matrix = ggn(regression_problem(data, moments.optimum)).dense() / 2
    return matrix + ((PRECISION if reading == "posterior" else 0.0) + ridge) * identity


def straightness_bound(hessian: Tensor, ridge: float, steps: int) -> float:
    r"""How far a path of the GGN may stray from its line: rounding, and :math:`\epsilon / \lambda_{\min}` by the ridge.

    The ridge makes the eigenvalues of :math:`(H + \epsilon I)^{-1} H` differ by less than that, and the two modes differ by no
    more at any time.
    """
    values = torch.linalg.eigvalsh(hessian)
    return rounding_bound(hessian.dtype, steps, float(values.max() / values.min())) + ridge / float(values.min())


def paths_of(
    method: str, reading: str, moments: RegressionMoments, starts: Tensor, step: float, data: Data, ridge: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows for the four starts, and what is drawn of each path: points of it, and the distance left by number of steps."""
    length, steps = step * MULTIPLIERS[method], steps_of(step)
    if method == "empirical":
        descent = empirical_descent(moments, starts, length, steps, TOLERANCE, ridge)
    else:
        matrix = matrix_of(method, reading, moments, data, ridge)
        linear = linear_descent(matrix, moments.posterior_hessian, length)
        left = linear.deviations(starts - moments.optimum, torch.arange(steps + 1, dtype=starts.dtype, device=starts.device))
        arcs = left.diff(dim=0).norm(dim=-1).sum(0)
        arrivals = linear.steps_to(starts - moments.optimum, TOLERANCE)
        descent = Descent(moments.optimum + left, arcs, arrivals)
    distances = (descent.points - moments.optimum).norm(dim=-1)
    rows = described(descent, starts, moments.optimum)
    for row in rows:
        row["bound"] = straightness_bound(moments.posterior_hessian, ridge, steps)
    return rows, [
        {"points": _thinned(descent.points[:, i]), "distances": _distances(distances[:, i])} for i in range(len(starts))
    ]


def described(descent: Descent, starts: Tensor, optimum: Tensor) -> list[dict[str, Any]]:
    """Excess of the arc over the chord, largest distance from the straight line to the optimum, and steps to arrive."""
    line = (optimum - starts) / (optimum - starts).norm(dim=-1, keepdim=True)
    away = descent.points - starts
    across = (away[..., 0] * line[..., 1] - away[..., 1] * line[..., 0]).abs().amax(0)
    columns = {
        "arc_over_chord": descent.arcs / (descent.points[-1] - starts).norm(dim=-1) - 1,
        "bow": across / (optimum - starts).norm(dim=-1),
        "left": (descent.points[-1] - optimum).norm(dim=-1),
        "steps": descent.arrivals,
    }
    flat = {name: column.flatten().tolist() for name, column in columns.items()}
    count = starts.shape[-2]
    return [{"start": i % count, **{name: column[i] for name, column in flat.items()}} for i in range(len(flat["bow"]))]


def is_line(row: Mapping[str, Any]) -> bool:
    """Whether a path keeps to its line and is no longer than its chord, up to rounding and the ridge."""
    return bool(row["bow"] <= row["bound"] and row["arc_over_chord"] <= row["bound"])


def _thinned(points: Tensor) -> list[list[float]]:
    """About 160 points of a path, equally spaced along it."""
    along = torch.cat([points.new_zeros(1), points.diff(dim=0).norm(dim=-1).cumsum(0)])
    wanted = torch.linspace(0, float(along[-1]), KEPT_POINTS, dtype=points.dtype, device=points.device)
    chosen = torch.unique(torch.searchsorted(along, wanted).clamp(max=len(points) - 1))
    return [[round(value, 5) for value in point] for point in points[chosen].tolist()]


def _distances(lengths: Tensor) -> list[list[float]]:
    """Pairs of number of steps and distance left, at some 80 numbers equally spaced in their logarithm."""
    last = len(lengths) - 1
    steps = sorted({min(last, round(last ** (i / 80))) for i in range(81)})
    return [[step, float(lengths[step])] for step in steps]
