"""How good a predictive distribution of a regression is: error, log density, spread and coverage."""

import math

from torch import Tensor

LEVELS = (0.5, 0.95)


def gaussian_scores(mean: Tensor, variance: Tensor, noise: float, targets: Tensor) -> dict[str, float]:
    """Scores of Gaussian predictions of observations.

    Args:
        mean: of the function, ``(N,)``.
        variance: of the function, ``(N,)``, in squared units of the targets.
        noise: variance of an observation.
        targets: ``(N,)``.

    Returns:
        ``rmse`` of the mean, ``nll`` a target (nats), ``spread`` (mean standard deviation of the function), and the coverage
        of central intervals for observations, ``coverage_50`` and ``coverage_95``.
    """
    total = variance + noise
    scores = {
        "rmse": float((mean - targets).square().mean().sqrt()),
        "nll": float(((targets - mean).square() / total + total.log() + math.log(2 * math.pi)).mean() / 2),
        "spread": float(variance.clamp(min=0).sqrt().mean()),
    }
    reached = ((targets - mean) / (2 * total).sqrt()).abs().erf()  # the level of the interval that ends at the target
    return scores | {f"coverage_{100 * level:.0f}": float((reached <= level).double().mean()) for level in LEVELS}


def mixture_scores(functions: Tensor, noise: float, targets: Tensor) -> dict[str, float]:
    """The same of a mixture of Gaussians, one a sampled function ``(S, N)``, with the noise around each."""
    mean = functions.mean(0)
    densities = -((targets - functions).square() / noise + math.log(2 * math.pi * noise)) / 2
    scores = {
        "rmse": float((mean - targets).square().mean().sqrt()),
        "nll": float((math.log(len(functions)) - densities.logsumexp(0)).mean()),
        "spread": float(functions.std(0).mean()),
    }
    rank = (1 + ((targets - functions) / math.sqrt(2 * noise)).erf()).mean(0) / 2  # the distribution function at the target
    reached = (2 * rank - 1).abs()
    return scores | {f"coverage_{100 * level:.0f}": float((reached <= level).double().mean()) for level in LEVELS}
