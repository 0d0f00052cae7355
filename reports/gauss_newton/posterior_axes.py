"""What the source takes for kernel and image of a posterior, the axes of its ellipse, and how each moves the predictions."""

from typing import Any

import torch

from fishergauge.reference.laplace import laplace
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reports.gauss_newton.log_normal_regression import PRIOR_VARIANCE, Data, regression_problem

NOISE_VARIANCE = 1.0


def axes_record(data: Data) -> dict[str, Any]:
    r"""The posterior of the published regression, its axes, and their shares of the variance of the predictions.

    The image of the GGN is what moves the predictions. Along the eigenvector v with eigenvalue lambda of the GGN, and with the
    prior precision alpha, the mean variance of the N predictions is :math:`\frac{1}{N} v' \Phi' \Phi v / (\lambda + \alpha)`;
    in units of the noise and summed over the data it is :math:`\lambda / (\lambda + \alpha)`, zero for the kernel alone.

    The published program divides GGN and prior by N before it inverts, so that its covariance is N times as large.

    Args:
        data: inputs and targets, ``(N, 1)``.

    Returns:
        A record of one row an axis, with the figures of the whole under ``summary``.

    Reference:
        Roy et al., "Reparameterization invariance in approximate Bayesian inference", NeurIPS 2024, sec. 3; MacKay, "Bayesian
        interpolation", Neural Computation 4 (1992), eq. 4.9.
    """
    alpha = 1 / PRIOR_VARIANCE
    start = regression_problem(data, torch.zeros(2, dtype=torch.float64))
    problem = linear_gaussian_map(start, prior=alpha, observation_variance=NOISE_VARIANCE)
    posterior = laplace(problem, prior=alpha, observation_variance=NOISE_VARIANCE)
    count = problem.num_samples
    design = torch.cat([data[0], torch.ones_like(data[0])], 1)
    curvature = posterior.precision.dense() - alpha * torch.eye(2, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(curvature)
    published = torch.linalg.inv((curvature + alpha * torch.eye(2, dtype=torch.float64)) / count)  # as the program has it
    rows: list[dict[str, Any]] = []
    for axis, value, vector in zip(("major axis", "minor axis"), values, vectors.mT, strict=True):
        spread = 1 / (value + alpha)
        moved = (design @ vector).square().sum() * spread
        rows.append(
            {
                "axis": axis,
                "eigenvalue": float(value),
                "deviation": float(spread.sqrt()),
                "published_deviation": float((vector @ published @ vector).sqrt()),
                "slope": float(vector[0]),
                "intercept": float(vector[1]),
                "prediction_variance": float(moved / count),
                "determined": float(moved / NOISE_VARIANCE),
            }
        )
    total = sum(row["determined"] for row in rows)
    for row in rows:
        row["share"] = row["determined"] / total
    summary = {
        "samples": count,
        "kernel_dimension": int((values <= 2 * torch.finfo(values.dtype).eps * values[-1]).sum()),
        "map_slope": float(posterior.mean[0]),
        "map_intercept": float(posterior.mean[1]),
        "covariance_ratio": float(published.trace() / posterior.covariance().trace()),
        **_against_conjugate(problem.inputs, problem.targets, posterior.mean, posterior.covariance(), alpha),
    }
    return {"rows": rows, "summary": summary}


def _against_conjugate(
    inputs: torch.Tensor, targets: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor, alpha: float
) -> dict[str, float]:
    """Relative deviations of mean and covariance from Bayes' rule, evaluated as a Gaussian process over the targets."""
    design = torch.cat([inputs, torch.ones_like(inputs)], 1)
    noisy = design @ design.mT / alpha + NOISE_VARIANCE * torch.eye(len(design), dtype=design.dtype)
    gain = torch.linalg.solve(noisy, design).mT / alpha
    exact_mean = (gain @ targets)[:, 0]
    exact = torch.eye(2, dtype=design.dtype) / alpha - gain @ design / alpha
    return {
        "mean_deviation": float((mean - exact_mean).norm() / exact_mean.norm()),
        "covariance_deviation": float((covariance - exact).norm() / exact.norm()),
        "conjugate_condition": float(torch.linalg.cond(noisy)),
    }
