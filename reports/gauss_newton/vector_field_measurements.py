"""What the experiment on the vector field measures: paths, angles and distances between matrices."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fishergauge.reports.cell import Record
from fishergauge.reports.gauss_newton.empirical_descent import empirical_descent
from fishergauge.reports.gauss_newton.linear_descent import linear_descent
from fishergauge.reports.gauss_newton.log_normal_regression import STARTS, TRUTH, Data, drawn_data, published_data
from fishergauge.reports.gauss_newton.matrix_distance import angle, eigenvector_angle, scaled_distance
from fishergauge.reports.gauss_newton.regression_moments import RegressionMoments, moments_of, population_moments
from fishergauge.reports.gauss_newton.vector_field_identities import ggn_rows, split_rows
from fishergauge.reports.gauss_newton.vector_field_paths import (
    METHODS,
    MULTIPLIERS,
    PRECISION,
    PUBLISHED_READINGS,
    READINGS,
    RIDGE,
    TOLERANCE,
    described,
    paths_of,
    precision_of,
    steps_of,
)
from fishergauge.suites.closeness import relative_deviation

GRID = tuple(-1 + 6 * i / 14 for i in range(15))
STEP, COARSE_STEP = 1e-3, 2e-2


def published_record(step: float, device: str) -> Record:
    """The published protocol: its draws, 50,000 points a path for steps of 0.001 times 1/3, 1 and 3, a ridge of 1e-8.

    Args:
        step: 0.001 as published; longer ones take fewer points for the same stretch.
        device: where to compute.
    """
    data = _moved(published_data(), device)
    moments = moments_of(data, PRECISION)
    starts = _starts(device)
    rows, paths = [], []
    for method, reading in PUBLISHED_READINGS.items():
        found, drawn = paths_of(method, reading, moments, starts, step, data, RIDGE)
        rows += [{"method": method, "reading": reading, "draw": "published", **row} for row in found]
        paths += [{"method": method, **path} for path in drawn]
    return {
        "step": step,
        "rows": rows,
        "paths": paths,
        "field": field_table(moments, _grid(device)),
        "optimum": moments.optimum.tolist(),
        "likelihood_optimum": moments_of(data).optimum.tolist(),
        "second": moments.second.tolist(),
        "ggn": ggn_rows(data, moments.optimum),
        "split": split_rows(data, moments.optimum),
    }


def draws_record(draws: int, device: str) -> Record:
    """Every reading of the prior on several data sets, without a ridge, with steps 20 times as long; the field on the grid."""
    rows, field = [], []
    starts = _starts(device)
    together = [_moved(drawn_data(draw), device) for draw in range(draws)]
    for draw, data in enumerate(together):
        for reading in READINGS:
            moments = moments_of(data, precision_of(reading))
            for method in ("gradient", "ggn") if reading != "mixed" else ("ggn",):
                found, _ = paths_of(method, reading, moments, starts, COARSE_STEP, data, 0.0)
                rows += [{"method": method, "reading": reading, "draw": draw, **row} for row in found]
            if reading == "posterior":
                field += [{"draw": draw, **row} for row in field_table(moments, _grid(device))]
    rows += empirical_rows(together, starts)
    return {"rows": rows, "field": field, "whole": whole_steps(moments_of(together[0], PRECISION), starts)}


def empirical_rows(together: Sequence[Data], starts: Tensor) -> list[dict[str, Any]]:
    """Paths of the empirical Fisher for two readings and all data sets in one sweep: prior in the gradient alone, and none."""
    readings = ("mixed", "likelihood")
    stacked = moments_of((torch.stack([x for x, _ in together]), torch.stack([y for _, y in together])))
    precision = torch.tensor([precision_of(reading) for reading in readings], dtype=starts.dtype, device=starts.device)
    moments = RegressionMoments(stacked.second, stacked.fourth, precision[:, None, None, None])
    everywhere = starts.expand(len(readings), len(together), -1, -1)
    length, most = COARSE_STEP * MULTIPLIERS["empirical"], 4 * steps_of(COARSE_STEP)
    found = described(empirical_descent(moments, everywhere, length, most, TOLERANCE), everywhere, moments.optimum[:, :, None])
    owners = [(reading, draw) for reading in readings for draw in range(len(together)) for _ in STARTS]
    return [
        {"method": "empirical", "reading": reading, "draw": draw, **row}
        for (reading, draw), row in zip(owners, found, strict=True)
    ]


def samples_record(counts: Sequence[int], draws: int, device: str) -> Record:
    """Empirical Fisher against the Hessian at the true parameters and at the optimum, by number of samples."""
    rows = []
    truth = torch.tensor(TRUTH, dtype=torch.float64, device=device)
    for count in counts:
        for draw in range(draws):
            data = _moved(drawn_data(draw, count), device)
            moments = moments_of(data)
            for place, point in (("truth", truth), ("optimum", moments.optimum)):
                empirical = moments.empirical_fisher(point[None])[0]
                rows.append(
                    {
                        "samples": count,
                        "draw": draw,
                        "place": place,
                        "distance": relative_deviation(empirical, moments.hessian),
                        **split_terms(data, point),
                    }
                )
    return {"rows": rows, "population": population_rows()}


def split_terms(data: Data, point: Tensor) -> dict[str, float]:
    r"""Size of the terms :math:`-b_n^{-1} \nabla^2 b_n = (1 - r_n^2) \bar x_n \bar x_n'`, one by one and of their mean."""
    inputs, targets = data
    features = torch.cat([inputs, torch.ones_like(inputs)], 1)
    factors = 1 - (features @ point - targets[:, 0]).square()
    sizes = factors.abs() * features.square().sum(1)
    mean = (features * factors[:, None]).mT @ features / len(features)
    return {"mean_of_norms": float(sizes.mean()), "norm_of_mean": float(mean.norm()), "least_norm": float(sizes.min())}


def population_rows() -> list[dict[str, Any]]:
    """Infinitely many samples: how far from the truth the empirical Fisher is off by 100 %, and its scale at wrong noise."""
    moments = population_moments()
    angles = torch.arange(0, 360, dtype=torch.float64) * torch.pi / 180
    around = torch.tensor(TRUTH, dtype=torch.float64) + torch.stack([angles.cos(), angles.sin()], 1)
    off = (moments.empirical_fisher(around) - moments.hessian).flatten(1).norm(dim=1) / moments.hessian.norm()
    radii = off.rsqrt()  # the distance grows as the square of the radius
    noisy = population_moments(noise=2.0)
    truth = around.new_tensor([TRUTH])
    return [
        {"what": "radius at which it is off by 100 %, least", "value": float(radii.min())},
        {"what": "radius at which it is off by 100 %, largest", "value": float(radii.max())},
        {"what": "distance at the truth", "value": relative_deviation(moments.empirical_fisher(truth)[0], moments.hessian)},
        {
            "what": "ratio to the Hessian at the truth where the noise has twice the assumed deviation",
            "value": float((noisy.empirical_fisher(truth)[0] / noisy.hessian).mean()),
        },
    ]


def field_table(moments: RegressionMoments, points: Tensor) -> list[dict[str, Any]]:
    """At each point: updates of the three methods, their angle to the direction of the optimum, distances between matrices."""
    gradient, hessian = moments.gradient(points), moments.posterior_hessian
    empirical = moments.empirical_fisher(points)
    updates = {
        "gradient": -gradient,
        "ggn": -torch.linalg.solve(hessian.expand(len(points), 2, 2), gradient),
        "empirical": -torch.linalg.solve(empirical, gradient),
    }
    angles = {method: angle(update, moments.optimum - points) for method, update in updates.items()}
    rows = []
    for i, point in enumerate(points.tolist()):
        row: dict[str, Any] = {"slope": point[0], "intercept": point[1]}
        for method in METHODS:
            row[f"{method}_angle"] = float(angles[method][i])
            row[f"{method}_slope"], row[f"{method}_intercept"] = updates[method][i].tolist()
        row["distance"] = relative_deviation(empirical[i], moments.hessian)
        row["scaled_distance"] = scaled_distance(empirical[i], moments.hessian)
        row["eigenvector_angle"] = eigenvector_angle(empirical[i], moments.hessian)
        row["loss"] = float(moments.likelihood_loss(points[i]))
        rows.append(row)
    return rows


def whole_steps(moments: RegressionMoments, starts: Tensor) -> list[dict[str, Any]]:
    """How many steps the methods need at full length: one for GGN and empirical Fisher, the best one for the gradient."""
    hessian, optimum = moments.posterior_hessian, moments.optimum
    values = torch.linalg.eigvalsh(hessian)
    identity = torch.eye(2, dtype=starts.dtype, device=starts.device)
    counts = {
        "gradient": linear_descent(identity, hessian, float(2 / values.sum())).steps_to(starts - optimum, TOLERANCE),
        "ggn": linear_descent(hessian, hessian, 1.0).steps_to(starts - optimum, TOLERANCE),
        "empirical": empirical_descent(moments, starts, 1.0, 1000, TOLERANCE).arrivals,
    }
    return [
        {"method": method, "start": i, "steps": int(count)} for method, found in counts.items() for i, count in enumerate(found)
    ]


def _starts(device: str) -> Tensor:
    return torch.tensor(STARTS, dtype=torch.float64, device=device)


def _grid(device: str) -> Tensor:
    axis = torch.tensor(GRID, dtype=torch.float64, device=device)
    return torch.cartesian_prod(axis, axis)


def _moved(data: Data, device: str) -> Data:
    return data[0].to(device), data[1].to(device)
