"""Whether samples are independent and Gaussian of a claimed covariance: exact tests on the factor of their scatter."""

import math
from dataclasses import dataclass

import torch
from scipy.stats import chi2, norm
from torch import Tensor

from fishergauge.suites.closeness import ClaimViolated

LEVEL = 1e-6


@dataclass(frozen=True)
class Factored:
    """The lower Cholesky factor T of the scatter S S' of whitened samples, and what it is under the claim.

    Args:
        squares: of the diagonal, ``(P,)``: chi-squared with S, S - 1, ... degrees of freedom.
        below: the entries under the diagonal, standard normal, ``(P (P - 1) / 2,)``.
        count: S.
    """

    squares: Tensor
    below: Tensor
    count: int


def factored(samples: Tensor, mean: Tensor, precision: Tensor) -> Factored:
    """Samples ``(S, P)`` whitened by the Cholesky factor of the claimed precision, and the factor of their scatter."""
    white = (samples - mean) @ torch.linalg.cholesky(precision)
    factor = torch.linalg.cholesky(white.T @ white)
    rows, columns = torch.tril_indices(len(factor), len(factor), offset=-1)
    return Factored(factor.diagonal().square(), factor[rows, columns], len(samples))


def assert_independent_draws(samples: Tensor, mean: Tensor, precision: Tensor, claim: str, level: float = LEVEL) -> str:
    r"""Raise :class:`ClaimViolated` unless the samples look like independent draws of that Gaussian.

    By Bartlett's decomposition the factor of the scatter of S whitened draws has independent entries, standard normal
    below the diagonal and of squares :math:`\chi^2_{S-i}` on it, i = 0, ..., P - 1. They are tested one by one, and those
    below the diagonal by the sum of their squares, which sees many small errors. Pairs of draws, neighbours and draws half
    the sample apart, are one draw of twice the length without covariance between its halves. S times the squared mean is
    :math:`\chi^2_P`. A quarter of the level goes to the draws, to each kind of pair and to the mean.

    Args:
        samples: ``(S, P)``, S even.
        mean: ``(P,)``.
        precision: the inverse of the claimed covariance, ``(P, P)``.
        claim: the statement, for the message.
        level: the probability that right samples are refused.

    Returns:
        A line that says which correlation of two directions would be seen.

    Raises:
        ClaimViolated: a statistic is beyond its quantiles; the message names it.

    Reference:
        Anderson, "An introduction to multivariate statistical analysis", 3rd ed. (2003), theorem 7.2.1 and corollary 7.2.1.
    """
    share = level / 4
    shift = float(((samples - mean) @ torch.linalg.cholesky(precision)).mean(0).square().sum())
    if not shift * len(samples) < float(chi2.isf(share, len(mean))):
        raise ClaimViolated(f"{claim}: the mean is off by {shift**0.5:.3f} standard deviations")
    seen = _check(factored(samples, mean, precision), claim, share)
    middle = len(samples) // 2
    pairs = {
        "neighbours": torch.cat([samples[0::2], samples[1::2]], 1),
        "draws half the sample apart": torch.cat([samples[:middle], samples[middle : 2 * middle]], 1),
    }
    both = torch.kron(torch.eye(2, dtype=precision.dtype), precision.contiguous())
    for what, pair in pairs.items():
        _check(factored(pair, torch.cat([mean, mean]), both), f"{claim}: {what}", share)
    return f"{claim}: a correlation of {seen:.3f} would be seen in {len(samples)} samples at level {level:.0e}"


def _check(found: Factored, claim: str, level: float) -> float:
    """Both tests of one factor; returns the correlation that is seen with a probability of 0.999."""
    size = len(found.squares)
    entries = size + len(found.below)
    share = level / 2 / entries / 2
    degrees = found.count - torch.arange(size).numpy()
    low, high = (torch.from_numpy(quantile(share, degrees)) for quantile in (chi2.ppf, chi2.isf))
    if not bool(((found.squares > low) & (found.squares < high)).all()):
        ratio = found.squares / torch.from_numpy(degrees)
        worst = int((ratio - 1).abs().argmax())
        raise ClaimViolated(f"{claim}: given those before, coordinate {worst} has {float(ratio[worst]):.3f} times its variance")
    largest = float(found.below.abs().max()) if len(found.below) else 0.0
    limit = float(norm.isf(share))
    if not largest < limit:
        raise ClaimViolated(f"{claim}: a correlation is {largest:.1f} standard errors from zero, allowed {limit:.1f}")
    total = float(found.below.square().sum())
    if not float(chi2.ppf(level / 4, len(found.below))) < total < float(chi2.isf(level / 4, len(found.below))):
        raise ClaimViolated(f"{claim}: the correlations have {total / len(found.below):.2f} times their mean square")
    return (limit + float(norm.isf(1e-3))) / math.sqrt(found.count)
