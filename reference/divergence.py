"""KL divergence between the models at two parameter vectors."""

from torch import Tensor

from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import terms_of


def kl_divergence(problem: Problem, vector: Tensor) -> Tensor:
    r"""KL divergence of the model at other parameters from the model of the problem.

    .. math:: D(\theta, \theta') = \frac{1}{M} \sum_k KL\big(p(\cdot | z_k(\theta)) \,\|\, p(\cdot | z_k(\theta'))\big)

    in the normalisation of the objective, so that :math:`D(\theta, \theta + \epsilon d) = \epsilon^2 d'Fd / 2 + O(\epsilon^3)`
    with the Fisher F of the problem. Masked labels are absent.

    Args:
        problem: at parameters theta.
        vector: theta', ``(P,)``.

    Returns:
        A scalar, non-negative; accurate to full relative precision also when tiny.

    Raises:
        UndefinedError: the objective is no negative log-likelihood.

    Example:
        >>> import torch
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> round(float(kl_divergence(problem, problem.vector + 0.1)), 6)
        0.04

    Reference:
        Amari and Nagaoka, "Methods of information geometry" (2000), sec. 2.2 and 3.2.
    """
    likelihood = problem.likelihood
    likelihood.require_likelihood("the KL divergence", problem.targets)
    here, there = terms_of(problem), terms_of(problem.at(vector))
    divergences = likelihood.kl(here.outputs, there.outputs) * likelihood.present(here.labels)
    return divergences.sum() / here.divisor
