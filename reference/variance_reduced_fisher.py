"""Estimates of a curvature matrix from a minibatch, plain and with the variance reduction of SVRG."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.fisher import fisher
from fishergauge.reference.linear_combination import LinearCombination
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import terms_of


def minibatch(problem: Problem, samples: Tensor) -> Problem:
    """The problem on some of its samples.

    Args:
        problem: N samples.
        samples: their indices, ``(B,)``.

    Returns:
        A problem with the same model and one batch.

    Raises:
        ProblemError: there are no indices, or they are no integers from 0 to N - 1.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise ProblemError(f"a minibatch needs a vector of at least one index, got shape {tuple(samples.shape)}")
    if samples.dtype != torch.long:  # a mask would select as well, but be counted wrong
        raise ProblemError(f"indices are torch.long, got {samples.dtype}; of a mask take mask.nonzero()[:, 0]")
    if not 0 <= int(samples.min()) <= int(samples.max()) < problem.num_samples:
        raise ProblemError(f"indices run from 0 to {problem.num_samples - 1}, got {int(samples.min())} to {int(samples.max())}")
    return replace(problem, batches=[(problem.inputs[samples], problem.targets[samples])])


def minibatch_curvature(
    problem: Problem, samples: Tensor, curvature: Callable[[Problem], Curvature] = fisher
) -> LinearCombination:
    r"""The unbiased estimate of a curvature matrix from a minibatch of fixed size.

    .. math:: F_B = \frac{N}{B} \frac{1}{M} \sum_{k \in B} F_k

    with M of all data. For a plain mean it is the curvature of the minibatch itself. Under a sum, or a mean with class weights,
    that one is biased.

    Args:
        problem: N samples.
        samples: indices of B of them, ``(B,)``, drawn uniformly.
        curvature: of which matrix.

    Returns:
        An operator of shape (P, P); positive semi-definite where the curvature is.

    Raises:
        ProblemError: as :func:`minibatch`, or under a mean no label of the minibatch counts.

    Example:
        >>> import torch
        >>> data = [(torch.ones(4, 1), torch.zeros(4, 1))]
        >>> problem = Problem(torch.nn.Linear(1, 1, bias=False), torch.nn.MSELoss(reduction="sum"), data)
        >>> minibatch_curvature(problem, torch.tensor([0, 2])).dense().round()
        tensor([[8.]])
    """
    part = minibatch(problem, samples)
    share = float(terms_of(part).divisor) / float(terms_of(problem).divisor)
    return LinearCombination([curvature(part)], [problem.num_samples / len(samples) * share])


def variance_reduced_fisher(
    problem: Problem,
    samples: Tensor,
    snapshot: Tensor,
    full: Curvature | None = None,
    curvature: Callable[[Problem], Curvature] = fisher,
) -> LinearCombination:
    r"""The Fisher estimated from a minibatch, with the snapshot's as a control variate.

    .. math:: \hat F(\theta) = F_B(\theta) - F_B(\tilde\theta) + F(\tilde\theta)

    Unbiased for every snapshot. Its variance is that of :math:`F_B(\theta) - F_B(\tilde\theta)`: zero at the snapshot,
    quadratic in the distance near it, and above that of :math:`F_B(\theta)` where the two are hardly correlated. It is
    symmetric, but **not** positive semi-definite in general: damp, clip, or do not invert it.

    Args:
        problem: at parameters theta, with all N samples.
        samples: indices of the minibatch, ``(B,)``, drawn uniformly.
        snapshot: the parameters of the snapshot, ``(P,)``.
        full: the curvature of all samples there, computed once a snapshot; by default it is computed here.
        curvature: of which matrix.

    Returns:
        An operator of shape (P, P).

    Raises:
        ProblemError: as :func:`minibatch_curvature`, or the snapshot does not fit.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> problem = Problem(torch.nn.Linear(1, 1, bias=False), torch.nn.MSELoss(), [(x, x)])
        >>> variance_reduced_fisher(problem, torch.tensor([0]), problem.vector).dense().round()  # exact at the snapshot
        tensor([[10.]])

    Reference:
        Johnson and Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS 2013, eq. 2,
        with the gradient replaced by the Fisher.
    """
    there = problem.at(snapshot)
    anchor = curvature(there) if full is None else full
    here, control = minibatch_curvature(problem, samples, curvature), minibatch_curvature(there, samples, curvature)
    return LinearCombination([here, control, anchor], [1.0, -1.0, 1.0])
