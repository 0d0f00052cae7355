"""The Fisher equals the GGN where the outputs are natural parameters, and knows no observed labels."""

from dataclasses import replace

import pytest
import torch

from fishergauge.reference import Problem, UndefinedError
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import ZOO, zoo_problem
from fishergauge.suites.zoo.setting import Reduction

WEIGHTED = {
    "class-weights": "class weights",
    "soft-targets": "class weights",
    "positive-weights": "weight",
}
LIKELIHOODS = [name for name in ZOO if name not in WEIGHTED]


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_both_types_of_fisher_equal_the_ggn(
    name: str, reduction: Reduction, dtype: torch.dtype, quantities: Quantities
) -> None:
    problem = zoo_problem(name, reduction=reduction, dtype=dtype)
    ggn = quantities.ggn(problem).dense()
    assert_close(quantities.fisher(problem).dense(), ggn, "Fisher of type 1 = GGN")
    assert_close(quantities.fisher_type2(problem).dense(), ggn, "Fisher of type 2 = GGN")


@pytest.mark.parametrize(("name", "reason"), WEIGHTED.items())
@pytest.mark.parametrize("quantity", ["fisher", "fisher_type2"])
def test_a_weighted_objective_has_no_fisher(name: str, reason: str, quantity: str, quantities: Quantities) -> None:
    with pytest.raises(UndefinedError, match=reason):
        quantities.named(quantity)(zoo_problem(name))


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("quantity", ["fisher", "ggn"])
def test_observed_labels_do_not_matter(name: str, quantity: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    before = quantities.named(quantity)(problem).dense()
    after = quantities.named(quantity)(_relabelled(problem)).dense()
    if quantity == "fisher" and not isinstance(problem.loss, torch.nn.MSELoss) and not torch.equal(before, after):
        raise ClaimViolated("the Fisher changes with the observed labels")
    assert_close(after, before, f"{quantity} with other labels")


@pytest.mark.parametrize("name", ["linear-regression", "logistic-regression", "softmax-regression", "mlp-tanh-softmax"])
def test_observed_labels_matter_to_the_empirical_fisher(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    before = quantities.empirical_fisher(problem).dense()
    assert_apart(quantities.empirical_fisher(_relabelled(problem)).dense(), before, "empirical Fisher with other labels")


def test_empirical_fisher_at_residuals_of_two_standard_deviations_is_four_times_the_fisher(quantities: Quantities) -> None:
    problem = zoo_problem("scalar-regression")
    signs = torch.tensor([1, -1, -1, 1, 1, -1], dtype=torch.float64)
    problem = _with_targets(problem, problem.outputs + 2 * 0.5**0.5 * signs)  # the variance behind MSELoss is 1/2
    fisher = quantities.fisher(problem).dense()
    assert_close(quantities.empirical_fisher(problem).dense(), 4 * fisher, "EF = 4 F at residuals of 2 sigma")


def test_empirical_fisher_vanishes_at_interpolation_and_the_fisher_does_not(quantities: Quantities) -> None:
    problem = zoo_problem("linear-regression")
    problem = _with_targets(problem, problem.outputs)
    assert float(quantities.empirical_fisher(problem).dense().norm()) == 0
    assert float(quantities.fisher(problem).dense().norm()) > 0.1


def _with_targets(problem: Problem, targets: torch.Tensor) -> Problem:
    return replace(problem, batches=[(problem.inputs, targets)])


def _relabelled(problem: Problem) -> Problem:
    """The same problem with other labels; masked labels stay masked."""
    draws, old = generator("relabelled", problem.name), problem.targets
    if isinstance(problem.loss, torch.nn.MSELoss):
        return _with_targets(problem, torch.randn(old.shape, generator=draws, dtype=old.dtype))
    if isinstance(problem.loss, torch.nn.BCEWithLogitsLoss):
        return _with_targets(problem, 1 - old)
    assert isinstance(problem.loss, torch.nn.CrossEntropyLoss)
    classes = problem.outputs.shape[1]
    shift = torch.randint(1, classes, old.shape, generator=draws)
    return _with_targets(problem, torch.where(old == problem.loss.ignore_index, old, (old + shift) % classes))
