"""Gradients of the expected return of a softmax policy, plain and natural."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference.conjugate_gradients import Multiplies
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.fisher import fisher
from fishergauge.reference.jacobian import pull_back
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import terms_of
from fishergauge.reference.truncated_conjugate_gradients import truncated_conjugate_gradients


def policy_problem(policy: nn.Module, states: Tensor, actions: Tensor) -> Problem:
    r"""The problem whose Fisher is that of a softmax policy on visited states.

    .. math:: F = \frac{1}{K} \sum_k \mathrm E_{a \sim \pi(\cdot | s_k)}[\nabla \log \pi(a | s_k) \nabla \log \pi(a | s_k)']

    The actions taken do not enter the Fisher: it is an expectation over actions, at the states that were visited.

    Args:
        policy: from states to logits of the actions, ``(K, ...) -> (K, A)``.
        states: ``(K, ...)``.
        actions: those taken, ``(K,)`` of long.

    Returns:
        A problem with the loss ``CrossEntropyLoss()``.

    Raises:
        ProblemError: actions are no vector of indices, or do not fit the outputs.

    Example:
        >>> import torch
        >>> problem = policy_problem(torch.nn.Linear(4, 2), torch.zeros(3, 4), torch.tensor([0, 1, 1]))
        >>> fisher(problem).shape
        (10, 10)

    Reference:
        Kakade, "A natural policy gradient", NIPS 2001, sec. 2.
    """
    if actions.dtype != torch.long or actions.ndim != 1 or bool((actions < 0).any()):
        raise ProblemError("actions are a vector of torch.long, from 0 on; leave out the steps that do not count")
    return Problem(policy, nn.CrossEntropyLoss(), [(states, actions)], name="policy")


def policy_gradient(problem: Problem, advantages: Tensor) -> Tensor:
    r"""The gradient of the expected return, estimated on visited states, up to the factor :math:`1 / (1 - \gamma)`.

    .. math:: g = \frac{1}{K} \sum_k A_k \nabla \log \pi(a_k | s_k)

    Args:
        problem: of :func:`policy_problem`.
        advantages: A, ``(K,)``.

    Returns:
        ``(P,)``; uphill.

    Raises:
        ProblemError: there are not as many advantages as steps.

    Example:
        >>> import torch
        >>> policy = torch.nn.Linear(1, 2, bias=False)
        >>> _ = torch.nn.init.zeros_(policy.weight)
        >>> problem = policy_problem(policy, torch.ones(2, 1), torch.tensor([0, 1]))
        >>> policy_gradient(problem, torch.tensor([1.0, -1.0]))
        tensor([ 0.5000, -0.5000])

    Reference:
        Sutton et al., "Policy gradient methods for reinforcement learning with function approximation", NIPS 1999, theorem 1.
    """
    terms = terms_of(problem)
    _check_steps(advantages, terms.labels)
    scores = -problem.likelihood.residuals(terms.outputs, terms.labels)
    return pull_back(problem, scores * advantages[:, None]) / len(advantages)


def surrogate_gain(problem: Problem, vector: Tensor, advantages: Tensor) -> Tensor:
    r"""What the surrogate objective gains at other parameters.

    .. math:: \frac{1}{K} \sum_k \Big( \frac{\pi_{\theta'}(a_k | s_k)}{\pi_\theta(a_k | s_k)} - 1 \Big) A_k

    Args:
        problem: of :func:`policy_problem`, at the parameters theta that acted.
        vector: theta', ``(P,)``.
        advantages: A, ``(K,)``.

    Returns:
        A scalar; its gradient at theta is the policy gradient.

    Raises:
        ProblemError: there are not as many advantages as steps.

    Reference:
        Schulman et al., "Trust region policy optimization", ICML 2015, sec. 5.
    """
    here, there = terms_of(problem), terms_of(problem.at(vector))
    _check_steps(advantages, here.labels)
    change = problem.likelihood.values(here.outputs, here.labels) - problem.likelihood.values(there.outputs, there.labels)
    return (change.expm1() * advantages).mean()


@dataclass(frozen=True)
class NaturalPolicyGradient:
    """An uphill direction x with (F + lambda I) x = g, as far as conjugate gradients went.

    Args:
        direction: x, ``(P,)``.
        curvature: x'(F + lambda I)x, a positive scalar.
        products: how many products with F it took.
    """

    direction: Tensor
    curvature: Tensor
    products: int

    def step(self, kl: float) -> Tensor:
        r"""The step :math:`\sqrt{2 \delta / x'(F + \lambda I)x} \, x`, whose quadratic divergence is delta: ``(P,)``."""
        if not kl > 0:
            raise ProblemError(f"the divergence of a step must be positive, got {kl}")
        return (2 * kl / self.curvature).sqrt() * self.direction


def natural_policy_gradient(
    problem: Problem,
    advantages: Tensor,
    damping: float = 0.0,
    iterations: int | None = 10,
    tolerance: float = 1e-10,
    curvature: Callable[[Problem], Multiplies] = fisher,
) -> NaturalPolicyGradient:
    r"""The natural gradient of the expected return, by conjugate gradients on products with the policy's Fisher.

    .. math:: (F + \lambda I) x = g

    F is singular for a softmax policy, as a common shift of all logits changes nothing; g lies in its range, where conjugate
    gradients stay.

    Args:
        problem: of :func:`policy_problem`.
        advantages: A, ``(K,)``.
        damping: lambda.
        iterations: at most so many products for the solution; None stands for 10 P.
        tolerance: on the residual, relative.
        curvature: F as a function of the problem; anything with products, such as ``lambda problem: fisher(problem).dense()``
            where P is small enough for the matrix to be cheaper than its products.

    Returns:
        Direction, curvature along it, and the number of products.

    Raises:
        ProblemError: the gradient is zero, or the direction has no curvature.

    Example:
        >>> import torch
        >>> policy = torch.nn.Linear(1, 2, bias=False)
        >>> _ = torch.nn.init.zeros_(policy.weight)
        >>> problem = policy_problem(policy, torch.ones(2, 1), torch.tensor([0, 1]))
        >>> natural_policy_gradient(problem, torch.tensor([1.0, -1.0])).direction.round()  # the advantages
        tensor([ 1., -1.])

    Reference:
        Kakade, NIPS 2001, sec. 3; Schulman et al., ICML 2015, appendix C.
    """
    slope, matrix = policy_gradient(problem, advantages), curvature(problem)
    found = truncated_conjugate_gradients(matrix, slope, damping, tolerance=tolerance, iterations=iterations)
    x = found.solution
    along = x @ (matrix @ x + damping * x)
    if not bool(along > 0):
        raise ProblemError("the natural policy gradient is zero: the advantages are, or the policy has no curvature")
    return NaturalPolicyGradient(x, along, found.products + 1)


def _check_steps(advantages: Tensor, actions: Tensor) -> None:
    """Refuse advantages of another shape: some would broadcast."""
    if advantages.shape != actions.shape:
        raise ProblemError(f"{len(actions)} steps need as many advantages, got shape {tuple(advantages.shape)}")
