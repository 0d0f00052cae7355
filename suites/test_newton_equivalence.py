"""For models linear in their parameters the natural-gradient step is Newton's step."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.zoo import ZOO, Setting, zoo_problem
from fishergauge.suites.zoo.linear_models import LINEAR as FACTS
from fishergauge.suites.zoo.setting import Reduction

LINEAR = [name for name in ZOO if zoo_problem(name).facts.linear_in_parameters]

both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])


@pytest.mark.parametrize("name", LINEAR)
@both_reductions
def test_fisher_equals_ggn_equals_hessian(name: str, reduction: Reduction, quantities: Quantities) -> None:
    problem = zoo_problem(name, reduction=reduction)
    hessian = quantities.hessian(problem).dense()
    assert_close(quantities.ggn(problem).dense(), hessian, "GGN = Hessian")
    assert_close(quantities.fisher(problem).dense(), hessian, "Fisher = Hessian")


@pytest.mark.parametrize("name", ["linear-regression", "scalar-regression"])
@both_reductions
def test_least_squares_is_solved_by_one_step_of_length_one(name: str, reduction: Reduction, quantities: Quantities) -> None:
    problem = zoo_problem(name, reduction=reduction)
    matrix = quantities.fisher(problem).dense()
    step = quantities.natural_gradient_step(matrix, quantities.gradient(problem))
    design = torch.cat([problem.inputs, torch.ones(problem.num_samples, 1, dtype=problem.dtype)], 1)
    solution = torch.linalg.lstsq(design, problem.targets.reshape(problem.num_samples, -1)).solution
    expected = torch.cat([solution[:-1].T.reshape(-1), solution[-1]])
    condition = float(torch.linalg.cond(matrix))
    assert_close(problem.vector + step, expected, "least squares in one step", condition=condition)


@both_reductions
def test_logistic_step_is_that_of_iteratively_reweighted_least_squares(reduction: Reduction, quantities: Quantities) -> None:
    problem = zoo_problem("logistic-regression", reduction=reduction)
    matrix = quantities.fisher(problem).dense()
    step = quantities.natural_gradient_step(matrix, quantities.gradient(problem))
    condition = float(torch.linalg.cond(matrix))
    assert_close(problem.vector + step, _reweighted_least_squares(problem), "IRLS", condition=condition)


@pytest.mark.parametrize("name", ["softmax-regression", "softmax-uneven-batches"])
def test_softmax_step_is_newtons_step(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    slope, matrix = quantities.gradient(problem), quantities.fisher(problem).dense()
    values = torch.linalg.eigvalsh(matrix)
    condition = float(values[-1] / values[values > 1e-10].min())
    natural = quantities.natural_gradient_step(matrix, slope)
    newton = quantities.newton_step(quantities.hessian(problem).dense(), slope)
    assert_close(natural, newton, "natural gradient = Newton", condition=condition)


def test_logistic_steps_converge_quadratically(quantities: Quantities) -> None:
    setting = Setting("logistic-convergence")
    # more samples than can be separated, so that the optimum is finite
    inputs, targets = setting.normal(60, 2), setting.binary(60, 1)
    problem = setting.problem(lambda: torch.nn.Linear(2, 1), torch.nn.BCEWithLogitsLoss(), [(inputs, targets)], FACTS)
    slopes = []
    for _ in range(6):
        slope = quantities.gradient(problem)
        slopes.append(float(slope.norm()))
        step = quantities.natural_gradient_step(quantities.fisher(problem).dense(), slope)
        problem = problem.at(problem.vector + step)
    assert slopes[-1] < 1e-13, f"gradient norms along Newton's steps: {slopes}"


def _reweighted_least_squares(problem: Problem) -> Tensor:
    """One step of the textbook algorithm: weighted least squares on the working response."""
    weight, bias = problem.parameters["weight"].detach(), problem.parameters["bias"].detach()
    design = torch.cat([problem.inputs, torch.ones(problem.num_samples, 1, dtype=problem.dtype)], 1)
    score = problem.inputs @ weight.T + bias
    odds = score.sigmoid()
    spread = odds * (1 - odds)
    response = score + (problem.targets - odds) / spread
    solution: Tensor = torch.linalg.lstsq(spread.sqrt() * design, spread.sqrt() * response).solution
    return solution[:, 0]
