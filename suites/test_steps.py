"""Update steps do what their formulas say."""

import math

import pytest
import torch
from torch import nn

from fishergauge.reference import ConvergenceError, Problem, ProblemError, matched_length
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.zoo import zoo_problem

MATRIX = torch.diag(torch.tensor([4.0, 1.0, 0.0], dtype=torch.float64))
SLOPE = torch.tensor([8.0, -3.0, 5.0], dtype=torch.float64)


def test_natural_gradient_step_by_hand(quantities: Quantities) -> None:
    undamped = quantities.natural_gradient_step(MATRIX, SLOPE, length=0.5)
    assert_close(undamped, torch.tensor([-1.0, 1.5, 0.0], dtype=torch.float64), "pseudo-inverse")
    damped = quantities.natural_gradient_step(MATRIX, SLOPE, damping=1.0)
    assert_close(damped, torch.tensor([-1.6, 1.5, -5.0], dtype=torch.float64), "damped")


def test_newton_step_by_hand(quantities: Quantities) -> None:
    step = quantities.newton_step(torch.diag(torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)), SLOPE)
    assert_close(step, torch.tensor([-4.0, -3.0, 0.0], dtype=torch.float64), "Newton, indefinite")
    with pytest.raises(ProblemError, match="Hessian is zero"):
        quantities.newton_step(torch.zeros(3, 3, dtype=torch.float64), SLOPE)


def test_quadratic_length_by_hand(quantities: Quantities) -> None:
    direction = torch.tensor([1.0, 2.0, 7.0], dtype=torch.float64)
    assert_close(quantities.quadratic_length(MATRIX, direction, 1.0), torch.tensor(0.5, dtype=torch.float64), "length")
    with pytest.raises(ProblemError, match="kernel"):
        quantities.quadratic_length(MATRIX, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 1.0)
    with pytest.raises(ProblemError, match="must be positive"):
        quantities.quadratic_length(MATRIX, direction, 0.0)


def test_trust_region_step_by_hand(quantities: Quantities) -> None:
    # F^-1 g = (2, -3, 0), g'F^-1 g = 25, so that the step of radius 2 is -sqrt(4 / 25) times it
    step = quantities.trust_region_step(MATRIX, SLOPE, 2.0)
    assert_close(step, torch.tensor([-0.8, 1.2, 0.0], dtype=torch.float64), "trust region")
    with pytest.raises(ProblemError, match="no direction decreases"):
        quantities.trust_region_step(MATRIX, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 1.0)
    with pytest.raises(ProblemError, match="radius must be positive"):
        quantities.trust_region_step(MATRIX, SLOPE, -1.0)


def test_matched_step_of_a_linear_gaussian_model_is_the_quadratic_one(quantities: Quantities) -> None:
    problem = zoo_problem("linear-regression")
    slope, matrix = quantities.gradient(problem), quantities.fisher(problem).dense()
    length = quantities.quadratic_length(matrix, slope, 0.3)
    step = quantities.kl_matched_step(problem, slope, 0.3, guess=1e-3)
    assert_close(step, -length * slope, "exact = quadratic", condition=1e5)


def test_a_divergence_out_of_reach_is_refused(quantities: Quantities) -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.Tanh()).double()  # bounded logits, bounded divergence
    data = [(torch.ones(2, 1).double(), torch.tensor([0, 1]))]
    problem = Problem(model, nn.CrossEntropyLoss(), data)
    with pytest.raises(ConvergenceError, match="bounded along this direction"):
        quantities.kl_matched_step(problem, torch.ones(4).double(), 100.0)
    with pytest.raises(ConvergenceError, match="NaN or infinite"):
        quantities.kl_matched_step(problem, torch.full((4,), math.nan).double(), 1.0)


def test_lengths_are_found_from_far_away_and_for_several_targets() -> None:
    targets = torch.tensor([1e-9, 1e-3, 10.0], dtype=torch.float64)
    lengths = matched_length(lambda a: a**2 / 2, targets, torch.full((3,), 1e3, dtype=torch.float64))
    assert_close(lengths, (2 * targets).sqrt(), "lengths", condition=1e4)


@pytest.mark.parametrize(("target", "guess"), [(-1.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_senseless_targets_and_guesses_are_refused(target: float, guess: float) -> None:
    with pytest.raises(ConvergenceError, match="positive and finite"):
        matched_length(lambda a: a**2, torch.tensor([target]), torch.tensor([guess]))
