"""Natural-gradient descent with any curvature matrix, damping, clipping and running averages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.fisher import fisher
from fishergauge.reference.gradient import gradient, objective
from fishergauge.reference.optimizers.eigenvalue_clipping import EigenvalueClipping
from fishergauge.reference.optimizers.gradual_fisher import GradualFisher
from fishergauge.reference.optimizers.levenberg_marquardt import Damping, Fixed, reduction_ratio
from fishergauge.reference.problem import Problem
from fishergauge.reference.tikhonov import solve_damped
from fishergauge.reference.variance_reduced_fisher import minibatch


@dataclass(frozen=True)
class Trajectory:
    """What happened over T steps.

    Args:
        parameters: ``(T + 1, P)``, the initial ones first.
        objective: of all data, ``(T + 1,)``.
        damping: that of each step, ``(T,)``.
        ratio: the reduction ratio of each step on the data that it was made from, ``(T,)``.
        accepted: whether the step was taken, ``(T,)`` of bool.
    """

    parameters: Tensor
    objective: Tensor
    damping: Tensor
    ratio: Tensor
    accepted: Tensor


def natural_gradient_descent(
    problem: Problem,
    steps: int,
    *,
    curvature: Callable[[Problem], Curvature | Tensor] = fisher,
    length: float = 1.0,
    damping: Damping | None = None,
    clipping: EigenvalueClipping | None = None,
    average: GradualFisher | None = None,
    batches: Sequence[Tensor] | None = None,
) -> Trajectory:
    r"""Descent along the natural gradient, from the parameters of the problem.

    .. math:: \theta_{t+1} = \theta_t - \eta (F_t + \lambda_t I)^{-1} g_t

    Args:
        problem: where to start; left as it is.
        steps: T.
        curvature: F as a function of the problem at its parameters: ``fisher``, ``ggn``, ``empirical_fisher``, or a
            function to a ``(P, P)`` tensor, such as ``lambda problem: fisher(problem).block_diagonal()``.
        length: eta.
        damping: lambda and its rule; none by default, which takes the pseudo-inverse.
        clipping: of small eigenvalues, before the damping is added.
        average: a running average through which F passes; none by default.
        batches: indices of the minibatch of each step, used in turn and from the first one again; all data by default.

    Returns:
        The path, T + 1 points.

    Raises:
        ProblemError: the number of steps is negative, the length not finite, there are no batches, or a matrix does not fit
            or cannot be solved with.

    Example:
        >>> x = torch.arange(4.0).reshape(4, 1).double()
        >>> problem = Problem(torch.nn.Linear(1, 1).double(), torch.nn.MSELoss(), [(x, 2 * x + 1)])
        >>> natural_gradient_descent(problem, 1).parameters[-1].round(decimals=6)  # least squares in one step
        tensor([2., 1.], dtype=torch.float64)

    Reference:
        Amari, "Natural gradient works efficiently in learning", Neural Computation 10 (1998), eq. 1; damping: Martens, JMLR
        21 (2020), sec. 6; running averages and minibatches: Martens and Grosse, ICML 2015, sec. 5.
    """
    if steps < 0 or (batches is not None and len(batches) == 0):
        raise ProblemError("descent needs a number of steps that is not negative, and at least one batch if any are given")
    if not math.isfinite(length):
        raise ProblemError(f"the length of a step must be finite, got {length}")
    rule: Damping = Fixed() if damping is None else damping
    here, points, values = problem, [problem.vector], [objective(problem)]
    dampings, ratios, accepted = [], [], []
    for t in range(steps):
        data = here if batches is None else minibatch(here, batches[t % len(batches)])
        slope = gradient(data)
        matrix = _dense(curvature(data), len(slope))
        if average is not None:
            average = average.updated(matrix)
            matrix = average.matrix
        step = -length * _solved(matrix, slope, rule.damping, clipping)
        there = here.at(points[-1] + step)
        before = values[-1] if batches is None else objective(data)
        after = objective(there) if batches is None else objective(data.at(points[-1] + step))
        ratio = float(reduction_ratio(before, after, slope, matrix, step))
        dampings.append(rule.damping)
        ratios.append(ratio)
        accepted.append(rule.accepts(ratio))
        if accepted[-1]:
            here = there
        points.append(here.vector)
        values.append(values[-1] if not accepted[-1] else after if batches is None else objective(here))
        rule = rule.updated(ratio)
    return Trajectory(
        torch.stack(points),
        torch.stack(values),
        points[0].new_tensor(dampings),
        points[0].new_tensor(ratios),
        torch.tensor(accepted, dtype=torch.bool, device=points[0].device),
    )


def _dense(matrix: Curvature | Tensor, size: int) -> Tensor:
    """The matrix as a tensor."""
    if tuple(matrix.shape) != (size, size):
        raise ProblemError(f"the curvature must be ({size}, {size}), got {tuple(matrix.shape)}")
    return matrix.dense() if isinstance(matrix, Curvature) else torch.as_tensor(matrix)


def _solved(matrix: Tensor, right: Tensor, damping: float, clipping: EigenvalueClipping | None) -> Tensor:
    """The natural gradient."""
    return solve_damped(matrix, right, damping) if clipping is None else clipping.solve(matrix, right, damping)
