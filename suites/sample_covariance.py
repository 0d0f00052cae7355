"""Whether samples have a claimed covariance: an exact test in all pairs of coordinates."""

import torch
from scipy.stats import chi2
from torch import Tensor

from fishergauge.suites.closeness import ClaimViolated

LEVEL = 1e-6


def assert_covariance(samples: Tensor, mean: Tensor, covariance: Tensor, claim: str, level: float = LEVEL) -> str:
    r"""Raise :class:`ClaimViolated` unless the samples look Gaussian of that mean and covariance.

    The samples are whitened by the symmetric root of the claimed covariance. Under the claim, for each direction u among
    the axes and the diagonals :math:`(e_i \pm e_j) / \sqrt 2`, the sum of :math:`(u'x)^2` is chi-squared with S degrees of
    freedom, and S times the squared mean is so with P. Every entry of the covariance is a difference of such sums. The
    level is divided among the P^2 + 1 tests, two-sided.

    Args:
        samples: ``(S, P)``.
        mean: ``(P,)``.
        covariance: ``(P, P)``, not singular.
        claim: the statement, for the message.
        level: the probability that right samples are refused.

    Returns:
        A line that says which relative error of a variance would be seen.

    Raises:
        ClaimViolated: a direction is beyond its quantiles; the message names the worst.

    Reference:
        Anderson, "An introduction to multivariate statistical analysis", 3rd ed. (2003), theorem 7.3.4.
    """
    count, size = samples.shape
    values, vectors = torch.linalg.eigh(covariance)
    white = (samples - mean) @ (vectors * values.rsqrt()) @ vectors.T
    rows, columns = torch.triu_indices(size, size, offset=1)
    moment = white.T @ white
    axes = moment.diagonal()
    middle, half = (axes[rows] + axes[columns]) / 2, moment[rows, columns]
    sums = torch.cat([axes, middle + half, middle - half])
    share = level / (2 * (len(sums) + 1))
    low, high = float(chi2.ppf(share, count)), float(chi2.isf(share, count))
    if not bool(((sums > low) & (sums < high)).all()):
        worst = float(sums[(sums / count - 1).abs().argmax()]) / count
        raise ClaimViolated(
            f"{claim}: a direction has {worst:.3f} times its variance, allowed {low / count:.3f} to {high / count:.3f} "
            f"({count} samples, level {level:.0e})"
        )
    shift = count * float(white.mean(0).square().sum())
    if not shift < float(chi2.isf(2 * share, size)):
        raise ClaimViolated(f"{claim}: the mean is off by {(shift / count) ** 0.5:.3f} standard deviations")
    return f"{claim}: a variance off by {2 * (high / count - 1):.0%} would be seen in {count} samples at level {level:.0e}"
