"""Paths and plateau of gradient and natural gradient on f(x) = theta_1 relu(theta_2 x)."""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reports.gauss_newton.log_normal_regression import STARTS, Data
from fishergauge.reports.gauss_newton.relu_model import ReluMoments

GRID = torch.linspace(-1.0, 5.0, 15, dtype=torch.float64)
LENGTHS = {"gradient": 0.002, "natural gradient": 0.02}
STEPS = 2000
KEPT = 200  # points of a path that are recorded


def grid_points() -> Tensor:
    """The points of the published grid: ``(225, 2)``, the second parameter varying fastest."""
    return torch.cartesian_prod(GRID, GRID)


def field_record(data: Data) -> dict[str, Any]:
    r"""Paths from the published starts, as flows in small steps, and where the likelihood says nothing.

    A path ends in the valley :math:`\theta_1 \theta_2 = m / s`, or on the plateau :math:`\theta_2 \le 0`, where only the
    prior is left, which leads to the origin.

    Args:
        data: inputs, all positive, and targets.

    Returns:
        A record of one row a start and method, with the paths under ``paths``.
    """
    moments = ReluMoments(data)
    starts = torch.tensor(STARTS, dtype=torch.float64)
    rows, paths = [], {}
    for method, length in LENGTHS.items():
        points = [starts]
        for _ in range(STEPS):
            here = points[-1]
            move = moments.natural_step(here) if method == "natural gradient" else -moments.gradient(here)
            points.append(here + length * move)
        path = torch.stack(points)  # (T + 1, S, 2)
        lengths = path.diff(dim=0).norm(dim=-1).sum(0)
        chords = (path[-1] - path[0]).norm(dim=-1)
        target = moments.product / moments.square
        for number, start in enumerate(starts):
            end = path[-1, number]
            product = float(end[0] * end[1].relu())
            rows.append(
                {
                    "method": method,
                    "start_1": float(start[0]),
                    "start_2": float(start[1]),
                    "end_1": float(end[0]),
                    "end_2": float(end[1]),
                    "on_plateau_at_first": bool(start[1] <= 0),
                    "in_valley": abs(product / target - 1) < 0.01,
                    "objective": float(moments.objective(end)),
                    "bend": float(lengths[number] / chords[number] - 1),
                }
            )
        paths[method] = path[:: STEPS // KEPT].transpose(0, 1).tolist()
    plateau = float((moments.tangent(grid_points()).abs().sum(-1) == 0).double().mean())
    return {"rows": rows, "paths": paths, "plateau_share": plateau, "valley": moments.product / moments.square}
