"""Hessians by plain double backward: of the objective, and its expectation over labels drawn from the model."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev

from fishergauge.reference import Problem
from fishergauge.reference.terms import terms_of

CHUNK = 64


def observed_hessian(problem: Problem) -> Tensor:
    r"""The Hessian of the objective at the observed labels, by a route that knows no GGN: ``(P, P)``.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> observed_hessian(problem)
        tensor([[2., 2.],
                [2., 2.]])
    """
    return _hessian(problem, lambda outputs: problem.loss(outputs, problem.targets))


def expected_hessian(problem: Problem) -> Tensor:
    r"""The mean of the Hessians over all labels that the model could draw, each with its probability.

    .. math:: \frac{1}{M} \sum_k \sum_c p_k(c) \, \nabla^2_\theta \ell(z_k(\theta), c)

    with the probabilities held fixed. Nothing cancels before the differentiation: every label has its own loss.

    Args:
        problem: with a log-likelihood, one term a sample.

    Returns:
        ``(P, P)``.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> expected_hessian(problem).round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Martens, JMLR 21 (2020), sec. 8 and 9.2: F = E[H] over the labels of the model.
    """
    terms = terms_of(problem)
    weights, labels = problem.likelihood.enumerate(terms.outputs)

    def mean_loss(outputs: Tensor) -> Tensor:
        split = problem.likelihood.split(outputs).flatten(0, 1)
        losses = [(w * problem.likelihood.values(split, label)).sum() for w, label in zip(weights, labels, strict=True)]
        return torch.stack(losses).sum() / terms.divisor

    return _hessian(problem, mean_loss)


def _hessian(problem: Problem, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Of a function of the outputs, by reverse over reverse differentiation."""

    def objective(vector: Tensor) -> Tensor:
        return loss(functional_call(problem.model, problem.unflatten(vector), (problem.inputs,)))

    matrix: Tensor = jacrev(grad(objective), chunk_size=CHUNK)(problem.vector).detach()
    return (matrix + matrix.T) / 2
