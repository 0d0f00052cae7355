"""The gap between Fisher and Hessian against the residuals, at parameters that interpolate the data without noise."""

from collections.abc import Sequence
from typing import Any

from fishergauge.reference import fisher, gradient, objective
from fishergauge.reports.course.expected_hessian import observed_hessian
from fishergauge.reports.course.newton_problems import newton_problem
from fishergauge.suites.closeness import rounding_bound


def interpolation_rows(noises: Sequence[float], seed: int, device: str = "cpu") -> list[dict[str, Any]]:
    r"""At the teacher's parameters, for each standard deviation of the noise on its outputs.

    There the residuals are the noise, :math:`r = \sigma \varepsilon` with the same draws for every :math:`\sigma`, and

    .. math:: H - F = \frac{1}{M} \sum_k 2 r_k \nabla^2 f_k

    is proportional to it; without noise the parameters interpolate the data, and the gap is zero.
    """
    rows = []
    for noise in noises:
        problem = newton_problem("regression", seed, device, noise, distance=0.0)
        information = fisher(problem).dense()
        gap = observed_hessian(problem) - information
        rows.append(
            {
                "study": "interpolation",
                "noise": noise,
                "residual": float(objective(problem)) ** 0.5,
                "gradient": float(gradient(problem).norm()),
                "gap": float(gap.norm() / information.norm()),
                "bound": rounding_bound(gap.dtype, len(gap)),
            }
        )
    return rows
