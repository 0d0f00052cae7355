"""The empirical Fisher of a linear regression: its rate depends on the noise, the natural gradient's does not."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fishergauge.reference import Problem, empirical_fisher, gradient, hessian, natural_gradient_step
from fishergauge.reports.course.convergence_logistic import dominant
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.seeding import generator

SAMPLES, FEATURES = 200, 5


def noisy_regression(noise: float, seed: int, device: str = "cpu") -> Problem:
    """A linear regression with Gaussian noise of a standard deviation, at its least-squares solution."""
    source = generator("convergence", "noise", seed)
    inputs = torch.randn(SAMPLES, FEATURES, generator=source, dtype=torch.float64)
    targets = inputs.sum(1, keepdim=True) + noise * torch.randn(SAMPLES, 1, generator=source, dtype=torch.float64)
    model = unset_linear(FEATURES, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.linalg.solve(inputs.T @ inputs, inputs.T @ targets).T)
    return Problem(model.to(device), nn.MSELoss(), [(inputs.to(device), targets.to(device))], name=f"noise-{noise:g}")


def noise_rows(noises: Sequence[float], seed: int, device: str) -> list[dict[str, Any]]:
    r"""For each noise the rate of the empirical Fisher, predicted in two ways and measured.

    With residuals independent of the inputs, :math:`\hat F \approx 2 \sigma^2 H` under the canon's squared error, so that
    steps of length one contract by :math:`|1 - 1 / (2 \sigma^2)|`; exactly, it is the spectral radius of
    :math:`I - \hat F^{-1} H`.
    """
    rows = []
    for noise in noises:
        best = noisy_regression(noise, seed, device)
        rate, vector = dominant(empirical_fisher(best).dense(), hessian(best).dense())
        size = 1e-6 * noise
        moved = _moved(best.at(best.vector + size * vector))
        rows.append(
            {
                "study": "noise",
                "noise": noise,
                "predicted_rate": abs(rate),
                "simple_rate": abs(1 - 1 / (2 * noise**2)),
                "measured_rate": float((moved - best.vector).norm()) / size,
            }
        )
    return rows


def _moved(problem: Problem) -> torch.Tensor:
    return problem.vector + natural_gradient_step(empirical_fisher(problem).dense(), gradient(problem))
