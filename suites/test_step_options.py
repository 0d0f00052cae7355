"""Options of estimates and of the trust region other than those that they have by default."""

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, empirical_fisher, fisher, gradient, objective
from fishergauge.reference.optimizers.levenberg_marquardt import Fixed, LevenbergMarquardt, reduction_ratio
from fishergauge.reference.optimizers.natural_gradient_descent import natural_gradient_descent
from fishergauge.reference.policy_gradient import natural_policy_gradient, policy_problem
from fishergauge.reference.trust_region_policy import trust_region_policy_update
from fishergauge.reference.variance_reduced_fisher import minibatch, variance_reduced_fisher
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator


def test_every_part_of_the_reduced_estimate_is_of_the_curvature_asked_for() -> None:
    draws = generator("reduced empirical fisher")
    inputs, targets = torch.randn(6, 2, generator=draws).double(), torch.randn(6, 1, generator=draws).double()
    model, loss, chosen = nn.Linear(2, 1).double(), nn.MSELoss(), torch.tensor([0, 3])
    problem = Problem(model, loss, [(inputs, targets)])
    snapshot = problem.vector + 1
    part = Problem(model, loss, [(inputs[chosen], targets[chosen])])
    expected = (
        empirical_fisher(part).dense()
        - empirical_fisher(part.at(snapshot)).dense()
        + empirical_fisher(problem.at(snapshot)).dense()
    )
    found = variance_reduced_fisher(problem, chosen, snapshot, curvature=empirical_fisher).dense()
    assert_close(found, expected, "reduced empirical Fisher", condition=100)
    assert_apart(variance_reduced_fisher(problem, chosen, snapshot).dense(), expected, "the Fisher in its place")


@pytest.mark.parametrize("shrink", [0.3, 0.8])
def test_the_line_search_shrinks_by_its_factor(shrink: float) -> None:
    draws = generator("line search")
    states, advantages = torch.randn(20, 3, generator=draws).double(), torch.randn(20, generator=draws).double()
    policy = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    problem = policy_problem(policy, states, torch.randint(3, (20,), generator=draws))
    problem = problem.at(torch.randn(problem.num_parameters, generator=draws).double())
    first = natural_policy_gradient(problem, advantages, 1e-3).step(2.0)
    found = trust_region_policy_update(problem, advantages, 2.0, damping=1e-3, shrink=shrink, trials=30)
    assert found.accepted
    assert found.trials > 1
    assert_close(found.step, shrink ** (found.trials - 1) * first, "step", condition=100)
    assert_apart(found.step, shrink**found.trials * first, "a trial more")


def test_the_reduction_ratio_of_a_step_is_measured_on_its_minibatch() -> None:
    draws = generator("ratio of minibatches")
    inputs, targets = torch.randn(8, 2, generator=draws).double(), torch.randn(8, 1, generator=draws).double()
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    problem = Problem(model, nn.MSELoss(), [(inputs, targets)])
    problem = problem.at(torch.randn(problem.num_parameters, generator=draws).double())
    chosen = torch.arange(3)
    path = natural_gradient_descent(problem, 1, damping=Fixed(0.5), batches=[chosen])
    part, step = minibatch(problem, chosen), path.parameters[1] - path.parameters[0]
    there, model_of = problem.at(path.parameters[1]), (gradient(part), fisher(part).dense(), step)
    expected = reduction_ratio(objective(part), objective(minibatch(there, chosen)), *model_of)
    assert_close(path.ratio[0], expected, "ratio", condition=1e4)
    assert_apart(reduction_ratio(objective(part), objective(there), *model_of), expected, "objective of all data after")
    assert_apart(reduction_ratio(objective(problem), objective(minibatch(there, chosen)), *model_of), expected, "before")


def test_minibatches_begin_again_with_the_first_one() -> None:
    inputs = torch.randn(6, 2, generator=generator("cycle")).double()
    problem = Problem(nn.Linear(2, 1).double(), nn.MSELoss(), [(inputs, inputs[:, :1].sin())])
    first, second = torch.arange(3), torch.arange(3, 6)
    found = natural_gradient_descent(problem, 4, length=0.5, damping=Fixed(0.5), batches=[first, second]).parameters
    written = natural_gradient_descent(problem, 4, length=0.5, damping=Fixed(0.5), batches=[first, second, first, second])
    assert torch.equal(found, written.parameters)
    held = natural_gradient_descent(problem, 4, length=0.5, damping=Fixed(0.5), batches=[first, second, second, second])
    assert_apart(found, held.parameters, "the last one again and again")


def test_a_small_decrease_is_taken_although_the_damping_rises() -> None:
    rule = LevenbergMarquardt(1.0)
    assert rule.accepts(0.1)
    assert rule.updated(0.1).damping > 1
    assert not rule.accepts(0.0)
