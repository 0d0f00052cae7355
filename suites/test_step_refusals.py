"""What solvers, estimates, optimisers and policies refuse by name, instead of answering wrongly."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, fisher
from fishergauge.reference.advantages import generalized_advantages
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.linear_combination import LinearCombination
from fishergauge.reference.low_rank import low_rank
from fishergauge.reference.merged_fisher import merged
from fishergauge.reference.optimizers.adahessian import AdaHessian
from fishergauge.reference.optimizers.eigenvalue_clipping import EigenvalueClipping
from fishergauge.reference.optimizers.factored_damping import damped_inverse, damped_inverses
from fishergauge.reference.optimizers.gradual_fisher import GradualFisher
from fishergauge.reference.optimizers.hutchinson import hutchinson_diagonal
from fishergauge.reference.optimizers.kl_clipping import kl_clip
from fishergauge.reference.optimizers.levenberg_marquardt import Fixed, LevenbergMarquardt
from fishergauge.reference.optimizers.natural_gradient_descent import natural_gradient_descent
from fishergauge.reference.optimizers.shampoo import Shampoo, damped_power
from fishergauge.reference.policy_gradient import natural_policy_gradient, policy_gradient, policy_problem, surrogate_gain
from fishergauge.reference.truncated_conjugate_gradients import truncated_conjugate_gradients
from fishergauge.reference.variance_reduced_fisher import minibatch, minibatch_curvature
from fishergauge.suites.seeding import generator

MATRIX, RIGHT = torch.diag(torch.tensor([1.0, 2.0, 3.0])), torch.ones(3)


def _problem() -> Problem:
    draws = generator("refusals of steps")
    return Problem(
        nn.Linear(2, 1).double(), nn.MSELoss(), [(torch.randn(5, 2, generator=draws).double(), torch.zeros(5, 1).double())]
    )


@pytest.mark.parametrize(
    ("matrix", "right", "options", "message"),
    [
        (MATRIX, math.nan * RIGHT, {}, "right-hand side"),
        (torch.eye(3).long(), RIGHT.long(), {}, "floating-point"),
        (math.nan * MATRIX, RIGHT, {}, "product with the matrix"),
        (MATRIX, RIGHT, {"damping": math.nan}, "damping"),
        (MATRIX, RIGHT, {"damping": math.inf}, "damping"),
        (MATRIX, RIGHT, {"start": torch.ones(4)}, "start"),
        (MATRIX, RIGHT, {"start": math.nan * RIGHT}, "start"),
        (MATRIX, RIGHT, {"iterations": -1}, "iterations"),
    ],
)
def test_truncated_conjugate_gradients_do_not_take_nan_for_solved(
    matrix: Any, right: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProblemError, match=message):
        truncated_conjugate_gradients(matrix, right, **options)


def test_truncated_conjugate_gradients_leave_no_graph() -> None:
    found = truncated_conjugate_gradients(MATRIX.clone().requires_grad_(), RIGHT.clone().requires_grad_())
    assert not found.solution.requires_grad


@pytest.mark.parametrize("rank", [1, 3])
def test_low_rank_names_what_is_wrong_with_the_matrix(rank: int) -> None:
    size, start = 4, torch.ones(4).double()
    with pytest.raises(ProblemError, match="NaN"):
        low_rank(math.nan * torch.eye(size).double(), rank, start)
    with pytest.raises(ProblemError, match="integer"):
        low_rank(torch.eye(size).double(), rank + 0.5, start)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="do not fit"):
        low_rank(torch.eye(size).double(), rank, torch.tensor(1.0).double())


def test_low_rank_tells_a_zero_matrix_from_a_bad_start() -> None:
    with pytest.raises(ProblemError, match="zero on the start"):
        low_rank(torch.zeros(4, 4).double(), 1, torch.ones(4).double())


def test_counts_and_weights_of_a_combination_are_finite() -> None:
    curvature = fisher(_problem())
    for count in (math.nan, math.inf):
        with pytest.raises(ProblemError, match="finite"):
            merged([curvature, curvature], [count, 1.0])
        with pytest.raises(ProblemError, match="finite"):
            LinearCombination([curvature], [count])


def test_workers_share_one_objective() -> None:
    problem = _problem()
    binary = Problem(problem.model, nn.BCEWithLogitsLoss(), problem.batches)
    with pytest.raises(ProblemError, match="different losses"):
        merged([fisher(problem), fisher(binary)])
    smaller = Problem(nn.Linear(1, 1).double(), nn.MSELoss(), [(torch.ones(5, 1).double(), torch.zeros(5, 1).double())])
    with pytest.raises(ProblemError, match="different parameters"):
        merged([fisher(problem), fisher(smaller)])


def test_a_minibatch_is_named_by_indices_and_not_by_a_mask() -> None:
    problem = _problem()
    for samples, message in (
        (torch.arange(5) == 4, "torch.long"),
        (torch.tensor([0.0]), "torch.long"),
        (torch.tensor([5]), "run from 0 to 4"),
        (torch.tensor([-1]), "run from 0 to 4"),
        (torch.zeros(0, dtype=torch.long), "at least one index"),
        (torch.zeros(1, 1, dtype=torch.long), "at least one index"),
    ):
        for function in (minibatch, minibatch_curvature):
            with pytest.raises(ProblemError, match=message):
                function(problem, samples)


def test_clipping_does_not_take_nan_for_flat() -> None:
    for mode in ("remove", "floor"):
        clipping = EigenvalueClipping(0.1, mode)
        with pytest.raises(ProblemError, match="NaN"):
            clipping.solve(math.nan * MATRIX, RIGHT)
        for damping in (-1.0, math.nan):
            with pytest.raises(ProblemError, match="not be negative"):
                clipping.solve(MATRIX, RIGHT, damping)
        for right in (torch.ones(2), torch.ones(3, 2)):
            with pytest.raises(ProblemError, match="do not fit"):
                clipping.solve(MATRIX, right)


def test_running_averages_and_dampings_keep_to_their_range() -> None:
    with pytest.raises(ProblemError, match="the average is of shape"):
        GradualFisher(0.5).updated(torch.eye(2)).updated(torch.eye(1))
    assert GradualFisher(0.5).effective_samples == 0
    with pytest.raises(ProblemError, match="finite"):
        Fixed(math.inf)
    with pytest.raises(ProblemError, match="least"):
        LevenbergMarquardt(1.0, least=math.nan)


def test_descent_names_a_length_or_a_matrix_that_does_not_fit() -> None:
    problem = _problem()
    with pytest.raises(ProblemError, match="length"):
        natural_gradient_descent(problem, 1, length=math.nan)
    with pytest.raises(ProblemError, match=r"\(3, 3\)"):
        natural_gradient_descent(problem, 1, curvature=lambda problem: torch.eye(2).double())
    path = natural_gradient_descent(problem, 2, batches=torch.arange(4).reshape(2, 2), damping=Fixed(0.1))  # type: ignore[arg-type]
    assert path.parameters.shape == (3, 3)


def test_actions_are_taken_and_advantages_are_one_a_step() -> None:
    policy, states = nn.Linear(2, 3), torch.randn(4, 2, generator=generator("policy"))
    for actions in (torch.tensor([0, 1, -100, 2]), torch.ones(4, 3) / 3, torch.zeros(4)):
        with pytest.raises(ProblemError, match="actions"):
            policy_problem(policy, states, actions)
    problem = policy_problem(policy, states, torch.tensor([0, 1, 2, 0]))
    for advantages in (torch.ones(1), torch.ones(4, 1), torch.ones(3)):
        with pytest.raises(ProblemError, match="as many advantages"):
            policy_gradient(problem, advantages)
        with pytest.raises(ProblemError, match="as many advantages"):
            surrogate_gain(problem, problem.vector + 1, advantages)
    with pytest.raises(ProblemError, match="NaN"):
        natural_policy_gradient(problem, torch.full((4,), math.nan))


def test_advantages_of_integers_are_no_integers_and_nothing_follows_a_terminal_state() -> None:
    rewards, zero = torch.ones(2, 1, dtype=torch.long), torch.zeros(2, 1)
    end = torch.tensor([[False], [True]])
    following = torch.tensor([[0.0], [math.nan]])  # the value of a state that does not exist
    found = generalized_advantages(rewards, zero, following, end, end, discount=0.5, trace=1.0)
    assert found.tolist() == [[1.5], [1.0]]
    for discount, trace in ((1.5, 0.5), (0.5, -0.1), (math.nan, 0.5)):
        with pytest.raises(ProblemError, match="between 0 and 1"):
            generalized_advantages(zero, zero, zero, end, end, discount, trace)
    for wrong in (end.long(), end.double()):
        with pytest.raises(ProblemError, match="bool"):
            generalized_advantages(zero, zero, zero, wrong, wrong, 0.5, 0.5)


def test_a_diverged_training_is_named_and_not_inverted() -> None:
    broken = torch.full((2, 2), math.nan)
    with pytest.raises(ProblemError, match="NaN"):
        damped_inverse(broken, 1.0)
    with pytest.raises(ProblemError, match="NaN"):
        damped_power(broken, 1.0, -0.25)
    for damping in (-1.0, math.nan):
        with pytest.raises(ProblemError, match="damping"):
            damped_inverses(torch.eye(1), torch.eye(1), damping)
    with pytest.raises(ProblemError, match="limit"):
        kl_clip([torch.tensor(1.0)], 1.0, -1.0)
    with pytest.raises(ProblemError, match="at least one vector"):
        hutchinson_diagonal(lambda z: z, [])


def test_shampoo_passes_over_a_parameter_without_entries() -> None:
    empty, one = nn.Parameter(torch.zeros(0, 2)), nn.Parameter(torch.ones(1))
    empty.grad, one.grad = torch.zeros(0, 2), torch.ones(1)
    Shampoo([empty, one], lr=0.1).step()
    assert one.item() < 1


@pytest.mark.parametrize("result", [3.0, torch.tensor(1.0), torch.ones(2, requires_grad=True)])
def test_adahessian_refuses_a_closure_that_returns_no_loss(result: Any) -> None:
    optimizer = AdaHessian([nn.Parameter(torch.ones(2))], lr=0.1, generator=generator("closure"))
    with pytest.raises(ProblemError, match="returns the loss itself"):
        optimizer.step(lambda: result)
    with pytest.raises(ProblemError, match="betas"):
        AdaHessian([nn.Parameter(torch.ones(2))], lr=0.1, betas=(0.9,), generator=generator("betas"))  # type: ignore[arg-type]


@pytest.mark.parametrize("unfrozen", [True, False])
def test_adahessian_takes_an_estimate_for_a_parameter_that_comes_later(unfrozen: bool) -> None:
    first, second = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1), requires_grad=not unfrozen)
    parameters = [first, second] if unfrozen else [first]
    optimizer = AdaHessian(parameters, lr=0.1, hessian_every=10, generator=generator("later"))
    optimizer.step(lambda: first.square().sum() + second.square().sum())
    if unfrozen:
        second.requires_grad_(True)
    else:
        optimizer.add_param_group({"params": [second]})
    optimizer.step(lambda: first.square().sum() + second.square().sum())
    assert second.item() < 1
