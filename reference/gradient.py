"""The gradient of the objective."""

from torch import Tensor

from fishergauge.reference.jacobian import pull_back
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import terms_of


def objective(problem: Problem) -> Tensor:
    """The loss of all data, a scalar."""
    value: Tensor = problem.loss(problem.outputs, problem.targets).detach()
    return value


def gradient(problem: Problem) -> Tensor:
    r"""The gradient of the objective, :math:`\frac{1}{M} \sum_k J_k' \nabla_z \ell_k`.

    Args:
        problem: P parameters.

    Returns:
        ``(P,)``; the ``grad`` attributes of the parameters stay as they are.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> gradient(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))]))
        tensor([-2.])
    """
    terms = terms_of(problem)
    return pull_back(problem, problem.likelihood.residuals(terms.outputs, terms.labels)) / terms.divisor
