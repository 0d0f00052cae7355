"""The joint density of data and parameters, written by torch.distributions alone."""

import math

from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal
from torch.func import functional_call

from fishergauge.reference import Problem


def log_joint(problem: Problem, vector: Tensor, prior: Tensor, variance: float | None, mean: float = 0.0) -> Tensor:
    r"""The logarithm of :math:`p(y | \theta) \, N(\theta; \mu, \operatorname{diag}(\delta)^{-1})`, differentiable in theta.

    Args:
        problem: one label a sample, or vectors of numbers.
        vector: theta, ``(P,)``.
        prior: delta, ``(P,)``.
        variance: of the observations; None for class labels.
        mean: mu.

    Returns:
        A scalar, for all data together, whatever the reduction of the loss.
    """
    outputs: Tensor = functional_call(problem.model, problem.unflatten(vector), (problem.inputs,))
    labels: Distribution = Categorical(logits=outputs)
    if variance is not None:
        labels = Normal(outputs, math.sqrt(variance))
    elif problem.targets.is_floating_point():
        labels = Bernoulli(logits=outputs)
    by_data, by_prior = log_density(labels, problem.targets), log_density(Normal(mean, prior.rsqrt()), vector)
    return by_data.sum() + by_prior.sum()


def log_density(distribution: Distribution, values: Tensor) -> Tensor:
    """The log-density of values under a distribution of torch."""
    density: Tensor = distribution.log_prob(values)
    return density
