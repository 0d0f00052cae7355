"""Whether a Monte-Carlo Fisher is one: what it estimates, and how far chance may take it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.suites.benchmarks.plain_curvature import divisor, jacobians, term_of

LEVEL = 1e-6  # at which a right estimate is taken for a wrong one, for each number that is compared


@dataclass(frozen=True)
class Estimated:
    """A number that a right estimate gives on average.

    Args:
        mean: its expectation.
        reach: how far it may be from it.
    """

    mean: float
    reach: float


def scores(problem: Problem) -> tuple[Tensor, Tensor]:
    """Probabilities ``(N, L)`` and gradients of the terms at all labels, ``(N, L, C)``.

    Raises:
        UnsupportedError: the loss is another one than cross-entropy.
    """
    if not isinstance(problem.loss, nn.CrossEntropyLoss):
        raise UnsupportedError("a Monte-Carlo estimate is compared for cross-entropy alone")
    outputs = problem.outputs
    labels = torch.arange(outputs.shape[1], device=outputs.device)
    slopes = vmap(vmap(grad(term_of(problem)), (None, 0)), (0, None))(outputs, labels)
    return outputs.softmax(1), slopes


def bernstein(values: Tensor, probabilities: Tensor, scale: float) -> Estimated:
    r"""The range of a mean of independent bounded numbers.

    .. math:: P\big(|T - E T| \ge t\big) \le 2 \exp\Big(\frac{-t^2 / 2}{V + b t / 3}\Big)

    for :math:`T = \frac1M \sum_n X_n`, V the sum of the variances of :math:`X_n / M` and b the largest deviation of one. With
    S draws a term both shrink by S, so that the range holds for any number of draws.

    Args:
        values: of X at each label, ``(N, L)``.
        probabilities: of the labels, ``(N, L)``.
        scale: M.

    Reference:
        Boucheron, Lugosi and Massart, "Concentration inequalities" (2013), eq. 2.10.
    """
    means = (probabilities * values).sum(1, keepdim=True)
    apart = values - means
    variance = float((probabilities * apart.square()).sum()) / scale**2
    largest = float(apart.abs().max()) / scale
    logarithm = math.log(2 / LEVEL)
    half = largest * logarithm / 3
    return Estimated(float(means.sum()) / scale, half + math.sqrt(half**2 + 2 * variance * logarithm))


def quadratic_form(problem: Problem, pushed: Tensor) -> Estimated:
    """Of v' F v, from J v, ``(N, C)``."""
    probabilities, slopes = scores(problem)
    return bernstein((slopes @ pushed[:, :, None])[:, :, 0].square(), probabilities, divisor(problem))


def trace(problem: Problem) -> Estimated:
    """Of the trace."""
    probabilities, slopes = scores(problem)
    grams = torch.cat([jacobian @ jacobian.mT for _, jacobian in jacobians(problem)])
    return bernstein((slopes * (slopes @ grams)).sum(2), probabilities, divisor(problem))
