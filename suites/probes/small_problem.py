"""A problem of few hundred parameters, whose matrices can be formed beside what probes say of them."""

import torch

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.problems import perceptron


def small_problem(dtype: torch.dtype = torch.float64) -> Problem:
    """A tanh perceptron with cross-entropy, of 467 parameters.

    Args:
        dtype: of parameters and data.

    Example:
        >>> small_problem().num_parameters
        467
    """
    made = perceptron((12, 16, 11, 6), 24, "small")
    batches = [(inputs.to(dtype), targets) for inputs, targets in made.batches]
    return Problem(made.model.to(dtype), made.loss, batches, made.name, made.facts)
