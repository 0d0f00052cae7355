r"""How far the mean of quadratic forms may be from the trace, in units that are measured with it, for every spectrum.

With m independent standard normal vectors x, a symmetric matrix D and its eigenvalues :math:`\lambda_i`,

.. math:: T = \frac{\sum_j (x_j' D x_j - \operatorname{tr} D)}{(\sum_j |D x_j|^2)^{1/2}}
        = \frac{\sum_i \lambda_i (S_i - m)}{(\sum_i \lambda_i^2 S_i)^{1/2}}, \qquad S_i \sim \chi^2_m,

so that nothing about D need be known to bound it. The worst case is nearly one eigenvalue that stands alone; where there are
many of a size, T is normal with variance 2.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from fishergauge.suites.claims.statistics import FAMILY_LEVEL, STATISTICS
from fishergauge.suites.probes.probe import MISSED

LEVEL = FAMILY_LEVEL / STATISTICS
"""Two-sided, of a test that turns a run red."""
UNCERTAIN = 0.05
"""One minus the confidence of the intervals."""

CRITICAL: Mapping[tuple[int, float], float] = {
    (8, LEVEL): 80.5,
    (8, MISSED): 34.0,
    (8, UNCERTAIN): 8.0,
    (24, LEVEL): 19.3,
    (24, MISSED): 13.5,
    (24, UNCERTAIN): 6.0,
}
"""By number of vectors and level, rounded upwards; recomputed by :func:`log_tail` in the tests."""

SIZES = np.geomspace(1e-3, 1.0, 200)
EIGENVALUES: NDArray[np.float64] = np.concatenate([-SIZES[::-1], SIZES])
CELL = 1.15
"""Ratio of the ends of a cell of the denominator."""


def critical(vectors: int, level: float) -> float:
    """The value that \\|T\\| exceeds with a probability of at most ``level``, for every symmetric matrix.

    Args:
        vectors: m, 8 or 24.
        level: :data:`LEVEL`, :data:`MISSED <fishergauge.suites.probes.probe.MISSED>` or :data:`UNCERTAIN`.

    Example:
        >>> critical(24, UNCERTAIN)
        6.0
    """
    return CRITICAL[vectors, level]


def log_tail(value: float, vectors: int) -> float:
    r"""The logarithm of a bound on the probability that :math:`|T|` exceeds a value, for every symmetric matrix.

    With :math:`|D|_F = 1`, Q the numerator and V the square of the denominator, Chernoff's bound in each cell of V,

    .. math:: P(-Q \ge c \sqrt v, \, V \le \rho v) \le
        \exp\big(-s c \sqrt v + t \rho v + \max_{|\lambda| \le 1} f(\lambda) / \lambda^2\big),
        \quad f(\lambda) = m s \lambda - \tfrac m2 \log(1 + 2 s \lambda + 2 t \lambda^2),

    minimised over s and t, where the maximum stands for a sum over eigenvalues whose squares add up to one. The cells are
    added, then what lies below and above all of them, and the other sign.

    Args:
        value: c.
        vectors: m.

    Returns:
        The natural logarithm of the bound.

    Reference:
        Laurent and Massart, "Adaptive estimation of a quadratic functional by model selection", Annals of Statistics 28
        (2000), lemma 1, whose bound this is for a given denominator.
    """
    lowest, highest = 1e-8, 4.0 * vectors
    logs = [_above(value * math.sqrt(highest), vectors), _least(lowest, vectors)]
    upper, found = highest, (0.0, 0.0)
    while upper > lowest:
        log, found = _cell(value * math.sqrt(upper / CELL), upper, vectors, found)
        logs.append(log)
        upper /= CELL
    return float(special.logsumexp(logs)) + math.log(2)


def _exponent(s: float, t: float, vectors: int) -> float:
    """The largest f / lambda^2, its limit at zero included."""
    inside = 1 + 2 * s * EIGENVALUES + 2 * t * EIGENVALUES**2
    if float(inside.min()) <= 0:
        return math.inf
    f = vectors * (s * EIGENVALUES - np.log(inside) / 2)
    return max(float((f / EIGENVALUES**2).max()), vectors * (s * s - t))


def _cell(numerator: float, most: float, vectors: int, near: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """The logarithm of a bound on P(-Q >= numerator, V <= most), and where it was found, looked for near the cell before."""

    def exponent(logs: NDArray[np.float64]) -> float:
        s, t = math.exp(min(logs[0], 300.0)), math.exp(min(logs[1], 300.0))
        return float(min(-s * numerator + t * most + _exponent(s, t, vectors), 1e6))

    inner = math.log(vectors / (2 * most) + 0.1)
    starts = np.array([near, (inner, inner)])
    found = [optimize.minimize(exponent, start, method="Nelder-Mead", options={"maxiter": 100}) for start in starts]
    best = min(found, key=lambda f: float(f.fun))
    return min(0.0, float(best.fun)), (float(best.x[0]), float(best.x[1]))


def _above(numerator: float, vectors: int) -> float:
    """The logarithm of a bound on P(-Q >= numerator)."""
    tilts: list[float] = np.linspace(0.01, 0.49, 49).tolist()
    return float(min(0.0, *(-s * numerator + _exponent(s, 0.0, vectors) for s in tilts)))


def _least(most: float, vectors: int) -> float:
    """The logarithm of a bound on P(V <= most), for a small number."""
    t = vectors / (2 * most)
    return min(0.0, t * most + _exponent(0.0, t, vectors))
