"""The trust-region problems of sections 5 and 7 of the course, solved numerically and by their closed forms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

Array = NDArray[np.float64]


def closed_forms(matrix: Tensor, gradient: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    r"""The minimisers of sections 5 and 7 with :math:`\delta_5` = ``radius`` and :math:`\delta_7 = \delta_5^2 / 2`.

    .. math:: d_5 = -\min(1, \delta_5 / |g|_{F^{-1}}) F^{-1} g, \quad d_7 = -(\sqrt{2 \delta_7} / |g|_{F^{-1}}) F^{-1} g

    Args:
        matrix: F, ``(P, P)``, positive definite.
        gradient: g of the loss, ``(P,)``.
        radius: of section 5, positive.

    Returns:
        Two vectors ``(P,)``.
    """
    natural = torch.linalg.solve(matrix, gradient)
    norm = float(gradient @ natural) ** 0.5
    return -min(1.0, radius / norm) * natural, -(radius / norm) * natural


def numerical_minimiser(matrix: Tensor, gradient: Tensor, square: float, quadratic: bool) -> Tensor:
    """The minimiser of g'd, plus d'Fd / 2 where ``quadratic``, subject to d'Fd <= ``square``, by SLSQP."""
    scale = float(torch.linalg.solve(matrix, gradient).norm())  # unknowns of order one
    f, g = matrix.numpy() * scale**2, gradient.numpy() * scale
    weight = 1.0 if quadratic else 0.0

    def value(d: Array) -> float:
        return float(g @ d + weight * d @ f @ d / 2)

    def slope(d: Array) -> Array:
        return np.asarray(g + weight * f @ d)

    inside: Any = {"type": "ineq", "fun": lambda d: 1 - d @ f @ d / square, "jac": lambda d: -2 * f @ d / square}
    start = -0.01 * g / np.linalg.norm(g)
    found = minimize(
        value,
        start,
        jac=slope,
        constraints=[inside],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-14 * abs(value(start))},
    )
    return torch.as_tensor(found.x * scale)


def trust_region_rows(matrix: Tensor, gradient: Tensor, ratios: Sequence[float]) -> list[dict[str, Any]]:
    """Both problems at several radii, each given as a multiple of the length of the full natural-gradient step.

    Args:
        matrix: F, ``(P, P)``, positive definite.
        gradient: g of the loss, ``(P,)``.
        ratios: :math:`\\delta_5 / |g|_{F^{-1}}`.

    Returns:
        Rows: relative distances in the Fisher norm of the numerical from the closed solutions, and between the two problems.
    """
    norm = float(gradient @ torch.linalg.solve(matrix, gradient)) ** 0.5
    rows = []
    for ratio in ratios:
        radius = ratio * norm
        fifth, seventh = closed_forms(matrix, gradient, radius)
        by_five, by_seven = (numerical_minimiser(matrix, gradient, radius**2, quadratic) for quadratic in (True, False))
        rows.append(
            {
                "study": "regions",
                "ratio": ratio,
                "numerical_5": _distance(matrix, by_five, fifth),
                "numerical_7": _distance(matrix, by_seven, seventh),
                "apart": _distance(matrix, by_five, by_seven),
                "spent_5": float(by_five @ (matrix @ by_five)) ** 0.5 / radius,
                "spent_7": float(by_seven @ (matrix @ by_seven)) ** 0.5 / radius,
            }
        )
    return rows


def _distance(matrix: Tensor, one: Tensor, other: Tensor) -> float:
    """Relative to the other, in the norm of the matrix."""
    difference = one - other
    return math.sqrt(float((difference @ (matrix @ difference)) / (other @ (matrix @ other))))
