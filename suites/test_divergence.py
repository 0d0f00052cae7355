"""The Fisher is the curvature of the KL divergence, and steps keep the divergence they promise."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import ZOO, zoo_problem

WEIGHTED = ("class-weights", "soft-targets", "positive-weights")
LIKELIHOODS = [name for name in ZOO if name not in WEIGHTED]
STEPS = (0.04, 0.02, 0.01)


def _direction(problem: Problem) -> Tensor:
    draws = torch.randn(problem.num_parameters, generator=generator("direction", problem.name), dtype=problem.dtype)
    pieces = problem.unflatten(draws)
    for name, module in problem.model.named_modules():
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            pieces[f"{name}.weight"][module.padding_idx] = 0  # a constant, though the outputs depend on it
    direction: Tensor = draws / draws.norm()
    return direction


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_divergence_of_a_small_step_is_the_quadratic_form(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    direction = _direction(problem)
    quadratic = direction @ (quantities.fisher(problem) @ direction) / 2
    errors = []
    for step in STEPS:
        # the mean over both signs has no third-order part, so that halving the step divides the error by four
        there, back = (quantities.kl_divergence(problem, problem.vector + sign * step * direction) for sign in (1, -1))
        errors.append(float((there + back) / (2 * step**2 * quadratic) - 1))
    if problem.facts.linear_in_parameters and isinstance(problem.loss, torch.nn.MSELoss):
        if max(abs(error) for error in errors) > 1e-11:
            raise ClaimViolated(f"KL of a linear-Gaussian model is quadratic at any step; relative errors {errors}")
        return
    ratios = [errors[0] / errors[1], errors[1] / errors[2]]
    if abs(errors[2]) > 0.02 or not all(3 < ratio < 5 for ratio in ratios):
        raise ClaimViolated(f"relative errors {errors} at steps {STEPS}: halving divides them by {ratios}, expected 4")


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_divergence_from_itself_is_zero_and_otherwise_positive(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    assert float(quantities.kl_divergence(problem, problem.vector)) == 0
    if not float(quantities.kl_divergence(problem, problem.vector + 0.1 * _direction(problem))) > 0:
        raise ClaimViolated("the divergence from another model is not positive")


@pytest.mark.parametrize("name", ["linear-regression", "logistic-regression", "conv1d-tagging"])
def test_the_divergence_agrees_with_torch_distributions(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    other = problem.at(problem.vector + 0.3 * _direction(problem))
    expected = _divergence_by_distributions(problem, other)
    assert_close(quantities.kl_divergence(problem, other.vector), expected, "KL", condition=100)


def test_a_weighted_objective_has_no_divergence(quantities: Quantities) -> None:
    problem = zoo_problem("class-weights")
    with pytest.raises(UndefinedError, match="class weights"):
        quantities.kl_divergence(problem, problem.vector)


@pytest.mark.parametrize("name", ["logistic-regression", "mlp-tanh-softmax", "loss-per-position"])
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_a_trust_region_step_has_the_prescribed_divergence(name: str, damping: float, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    matrix, slope = quantities.fisher(problem).dense(), quantities.gradient(problem)
    damped = matrix + damping * torch.eye(len(matrix), dtype=matrix.dtype)
    errors = []
    for radius in (1e-4, 1e-6, 1e-8):
        step = quantities.trust_region_step(matrix, slope, radius, damping=damping, cutoff=1e-2)
        assert_close(step @ damped @ step / 2, slope.new_tensor(radius), "quadratic divergence", condition=1e4)
        assert float(slope @ step) < 0
        if damping == 0:
            errors.append(abs(float(quantities.kl_divergence(problem, problem.vector + step)) / radius - 1))
    if errors and not (errors[0] > 5 * errors[1] > 25 * errors[2] and errors[0] < 0.1):
        raise ClaimViolated(f"KL over radius misses one by {errors} at radii 1e-4, 1e-6, 1e-8; expected to fall tenfold")


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("kl", [1e-8, 1e-2])
def test_a_matched_step_has_the_prescribed_true_divergence(name: str, kl: float, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    slope = quantities.gradient(problem)
    guess = float(quantities.quadratic_length(quantities.fisher(problem).dense(), slope, kl))
    step = quantities.kl_matched_step(problem, slope, kl, guess)
    measured = float(quantities.kl_divergence(problem, problem.vector + step))
    if not abs(measured / kl - 1) <= 1e-9:
        raise ClaimViolated(f"the step has KL {measured:.12e}, prescribed {kl:.0e}")


def _divergence_by_distributions(problem: Problem, other: Problem) -> Tensor:
    """KL by ``torch.distributions`` over what the mean of the loss divides by."""
    here, there = problem.outputs, other.outputs
    distributions = torch.distributions
    if isinstance(problem.loss, torch.nn.MSELoss):
        deviation = 0.5**0.5
        each = distributions.kl_divergence(distributions.Normal(here, deviation), distributions.Normal(there, deviation))
        return each.sum() / here.numel()
    if isinstance(problem.loss, torch.nn.BCEWithLogitsLoss):
        each = distributions.kl_divergence(distributions.Bernoulli(logits=here), distributions.Bernoulli(logits=there))
        return each.sum() / here.numel()
    assert isinstance(problem.loss, torch.nn.CrossEntropyLoss)
    first, second = (distributions.Categorical(logits=z.movedim(1, -1)) for z in (here, there))
    counted = problem.targets != problem.loss.ignore_index
    total: Tensor = (distributions.kl_divergence(first, second) * counted).sum()
    return total / counted.sum()
