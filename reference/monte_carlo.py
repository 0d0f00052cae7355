"""The Monte-Carlo estimate of the Fisher."""

import math

import torch

from fishergauge.reference.errors import UndefinedError
from fishergauge.reference.fisher import label_gradients
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.linearization import linearized_terms
from fishergauge.reference.problem import Problem


def monte_carlo_fisher(problem: Problem, samples: int, generator: torch.Generator) -> GaussNewton:
    r"""An unbiased estimate of the Fisher from labels drawn from the model.

    .. math:: \hat F = \frac{1}{M S} \sum_k \sum_{s=1}^S g_k(y_{ks}) g_k(y_{ks})', \quad y_{ks} \sim p(\cdot | z_k)

    Args:
        problem: K terms, P parameters; M is what the reduction divides by.
        samples: S, the number of labels drawn for each term.
        generator: the source of randomness, on the problem's device; no global generator is touched.

    Returns:
        An operator of shape (P, P); positive semi-definite, fixed once drawn.

    Raises:
        UndefinedError: the objective is no negative log-likelihood, or ``samples`` is not positive.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 2), torch.nn.CrossEntropyLoss(), [(torch.ones(4, 1), torch.zeros(4).long())])
        >>> monte_carlo_fisher(problem, 3, torch.Generator().manual_seed(0)).shape
        (4, 4)

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015, sec. 5.
    """
    if samples < 1:
        raise UndefinedError(f"a Monte-Carlo estimate needs at least one sample, not {samples}")
    problem.likelihood.require_likelihood("the Monte-Carlo Fisher", problem.targets)
    terms = linearized_terms(problem)
    labels = problem.likelihood.sample(terms.outputs, samples, generator)
    return GaussNewton(problem, terms, label_gradients(problem, terms, labels) / math.sqrt(samples))
