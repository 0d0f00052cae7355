"""From the objective to the negative log-likelihood of all data: the factor of a curvature matrix, and the value."""

import math

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.gaussian import VARIANCE, Gaussian
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import terms_of


class LikelihoodScale:
    r"""The scale between an objective and the negative log-likelihood of its data.

    With the objective :math:`L = \frac{1}{M} \sum_k \ell_k` the negative log-likelihood of all data is :math:`M L` for
    class labels, and at observation variance :math:`\sigma^2`

    .. math:: \frac{M L}{2 \sigma^2} + \frac{K C}{2} \log 2 \pi \sigma^2

    for squared error, whose terms are :math:`|f - y|^2`. A curvature matrix of L is multiplied by :math:`M` or
    :math:`M / 2 \sigma^2`, so that the reduction does not matter. The empirical Fisher is quadratic in the gradients and
    takes :math:`M / (2 \sigma^2)^2`.

    Args:
        problem: K terms of C outputs.
        power: in which power of :math:`1 / 2 \sigma^2` the matrix is; one, and two for the empirical Fisher.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> LikelihoodScale(problem).factor(torch.tensor(1.0))  # four outputs, over 2 sigma^2
        tensor(2.)
    """

    def __init__(self, problem: Problem, power: int = 1) -> None:
        terms = terms_of(problem)
        self.gaussian = isinstance(problem.likelihood, Gaussian)
        self.power = power
        self.divisor = terms.divisor  # M
        self.total = problem.likelihood.values(terms.outputs, terms.labels).sum()  # M L; masked terms are zero
        self.entries = terms.outputs.numel()  # K C

    def variance(self, value: float | None, problem: Problem) -> Tensor | None:
        """The observation variance as a tensor: 1/2 where it is left out, None for class labels.

        Raises:
            ProblemError: it is given for class labels, or not positive.
        """
        if not self.gaussian:
            if value is not None:
                raise ProblemError(f"{type(problem.loss).__name__} has no observation variance; it belongs to MSELoss")
            return None
        try:
            chosen = VARIANCE if value is None else float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ProblemError(f"the observation variance is one number for all outputs, got {value!r}") from error
        if not 0 < chosen < math.inf:
            raise ProblemError(f"the observation variance must be positive and finite, got {chosen}")
        return problem.vector.new_tensor(chosen)

    def factor(self, variance: Tensor | None) -> Tensor:
        """What a curvature matrix of the objective is multiplied by: a scalar, differentiable in the variance."""
        if variance is None:
            return self.divisor
        return self.divisor * (VARIANCE / variance) ** self.power

    def log_likelihood(self, variance: Tensor | None) -> Tensor:
        """The log-likelihood of all data at the parameters of the problem: a scalar, differentiable in the variance."""
        if variance is None:
            return -self.total
        return -self.total / (2 * variance) - self.entries / 2 * torch.log(2 * math.pi * variance)
