r"""How small a defect a random probe sees with a given probability, from the exact distributions.

A defect D is multiplied with X of k independent standard normal columns. With the singular values s of D,

.. math:: |D X|_F^2 = \sum_i s_i^2 \, \chi^2_{k,i},

which is smallest, and largest, in distribution where D has rank one (see :func:`least_growth`).
"""

import math
import sys

from scipy import optimize, stats

from fishergauge.suites.claims.statistics import FAMILY_LEVEL, STATISTICS
from fishergauge.suites.probes.probe import MISSED


def least_growth(columns: int, missed: float = MISSED) -> float:
    r"""The number q with :math:`P(|D X|_F \ge q \, |D|_F) \ge 1 - \text{missed}` for every matrix D.

    .. math:: q^2 = \text{the lower quantile of } \chi^2_k

    With weights w of sum one, :math:`Q = \sum_i w_i \chi^2_{k,i}`. Moving weight from j to i changes :math:`P(Q \le c)` by
    :math:`2 k (w_i - w_j) f'(c)`, f the density of :math:`Q + w_i \chi^2_2 + w_j \chi^2_2`, which grows up to
    :math:`k \max w`: rank one is the worst case if :math:`\max w \ge m := c/k`. Otherwise Chernoff's bound gives
    :math:`P(Q \le c) \le (m e^{1-m})^{k/2m}`, which is far below ``missed``.

    Args:
        columns: k.
        missed: the probability that the growth is smaller.

    Returns:
        q, positive.

    Example:
        >>> f"{least_growth(8):.3f}"
        '0.377'

    Reference:
        Bock, Diaconis, Huffer and Perlman, "Inequalities for linear combinations of gamma random variables", Canadian
        Journal of Statistics 15 (1987); Roosta-Khorasani and Szekely, "Schur properties of convolutions of gamma random
        variables", Metrika 78 (2015).
    """
    return math.sqrt(float(stats.chi2.ppf(missed, columns)))


def largest_growth(columns: int, missed: float = MISSED) -> float:
    r"""The number q with :math:`P(|M X|_F \le q \, |M|_F) \ge 1 - \text{missed}` for every matrix M.

    The upper quantile of :math:`\chi_k`: far out, beyond the mode of any weighted sum, rank one is the worst case.

    Args:
        columns: k.
        missed: the probability that the growth is larger.

    Returns:
        q, positive.

    Example:
        >>> f"{largest_growth(8):.2f}"
        '6.53'

    Reference:
        Szekely and Bakirov, "Extremal probabilities for Gaussian quadratic forms", Probability Theory and Related Fields
        126 (2003).
    """
    return math.sqrt(float(stats.chi2.isf(missed, columns)))


def seen_relative(bound: float, columns: int, missed: float = MISSED) -> float:
    r"""The smallest :math:`|D|_F / |M|_F` at which :math:`|D X|_F > \text{bound} \cdot |M X|_F` with probability 1 - missed.

    Both norms are random and from the same X; each may leave its quantile with half the probability.

    Args:
        bound: on the relative deviation of the products.
        columns: k of X.
        missed: the probability of missing it.

    Returns:
        The relative Frobenius norm of the defect.

    Example:
        >>> f"{seen_relative(1e-12, 8):.1e}"
        '1.9e-11'
    """
    return bound * largest_growth(columns, missed / 2) / least_growth(columns, missed / 2)


def least_skew_growth(columns: int, missed: float = MISSED) -> float:
    r"""The number q with :math:`P(|X' S X|_F \ge q \, |S|_F) \ge 1 - \text{missed}` for antisymmetric S of rank two.

    .. math:: \frac{|X' S X|_F}{|S|_F} = \sqrt{|a|^2 |b|^2 - (a'b)^2} \sim \tfrac12 \chi^2_{2(k-1)}

    for :math:`S = u v' - v u'`, whose a = X'u and b = X'v are normal; it is the root of the determinant of a Wishart matrix.
    Rank two is the worst case: :math:`E e^{-t |X'SX|^2}` is the largest there, as the characteristic function of X'SX,
    :math:`\prod_{l,m} (1 + s_l^2 \theta_m^2)^{-1}`, is.

    Args:
        columns: k, two or more.
        missed: the probability that the growth is smaller.

    Returns:
        q, positive.

    Example:
        >>> f"{least_skew_growth(8):.3f}"
        '0.500'

    Reference:
        Muirhead, "Aspects of Multivariate Statistical Theory" (1982), theorem 3.2.15.
    """
    return float(stats.chi2.ppf(missed, 2 * (columns - 1))) / 2


def seen_asymmetry(bound: float, columns: int, missed: float = MISSED) -> float:
    r"""The smallest :math:`|A - A'|_F / |A|_F` at which :math:`|X'(A - A')X|_F > \text{bound} \sqrt{k} \, |A X|_F`.

    Args:
        bound: on the quotient.
        columns: k of X, two or more.
        missed: the probability of missing it.

    Returns:
        The relative Frobenius norm of the asymmetry.

    Example:
        >>> f"{seen_asymmetry(1e-12, 8):.1e}"
        '4.2e-11'
    """
    return bound * math.sqrt(columns) * largest_growth(columns, missed / 2) / least_skew_growth(columns, missed / 2)


def seen_fraction(entries: int, missed: float = MISSED) -> float:
    r"""The smallest fraction of wrong entries of which one is among those that are drawn, :math:`1 - \text{missed}^{1/n}`.

    Drawn with replacement; without, fewer are missed.

    Args:
        entries: n, those that are looked at.
        missed: the probability that none of them is wrong.

    Returns:
        A number in (0, 1].

    Example:
        >>> round(seen_fraction(100), 3)
        0.129
    """
    return -math.expm1(math.log(missed) / entries) if entries else 1.0


def seen_by_lanczos(size: int, steps: int, missed: float = MISSED) -> float:
    r"""The relative distance of the largest Ritz value from the largest eigenvalue, exceeded with probability ``missed``.

    .. math:: 1.648 \sqrt P \, e^{-\sqrt\varepsilon (2k-1)} = \text{missed}

    for a positive semi-definite matrix and a start that is uniform on the sphere.

    Args:
        size: P.
        steps: k.
        missed: the probability that the distance is larger.

    Returns:
        The distance relative to the largest eigenvalue, at most one.

    Example:
        >>> f"{seen_by_lanczos(10_000, 40):.3f}"
        '0.057'

    Reference:
        Kuczynski and Wozniakowski, "Estimating the largest eigenvalue by the power and Lanczos algorithms with a random
        start", SIAM J. Matrix Anal. Appl. 13 (1992), theorem 4.2.
    """
    return min(1.0, (math.log(1.648 * math.sqrt(size) / missed) / (2 * steps - 1)) ** 2)


def critical_value(draws: int, level: float = FAMILY_LEVEL / STATISTICS) -> float:
    """The two-sided quantile of Student's t for the mean of independent draws; by default at the level of one of a run.

    Args:
        draws: how many estimates, four or more.
        level: the probability that an unbiased mean exceeds it.

    Returns:
        The value that the absolute studentised mean may take.

    Example:
        >>> f"{critical_value(60):.2f}"
        '7.26'
    """
    return float(stats.t.isf(level / 2, draws - 1))


def seen_shift(draws: int, level: float = FAMILY_LEVEL / STATISTICS, missed: float = MISSED) -> float:
    r"""The bias, in true standard errors of the mean, that a studentised test of normal estimates sees.

    .. math:: P(|T_\delta| \le t) = \text{missed}

    with the non-central t of ``draws - 1`` degrees of freedom and t of :func:`critical_value`.

    Args:
        draws: how many estimates, four or more.
        level: of the test, two-sided.
        missed: the probability of missing it.

    Returns:
        delta.

    Example:
        >>> f"{seen_shift(60):.1f}"
        '13.0'
    """
    critical = critical_value(draws, level)

    def excess(shift: float) -> float:
        below = float(stats.nct.cdf(critical, draws - 1, shift))  # the other tail is smaller by far
        return math.log(max(below, sys.float_info.min) / missed)

    upper = critical
    while excess(upper) > 0:
        upper *= 1.5
    return float(optimize.brentq(excess, 0.0, upper))
