"""The reference agrees with the plain oracle on every problem of the catalogue that is small enough for it."""

import pytest
import torch

from fishergauge.reference import Problem, UndefinedError
from fishergauge.reference.oracle import oracle_empirical_fisher, oracle_fisher, oracle_ggn, oracle_hessian
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.precision import converted
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem

ORACLES = {
    "fisher": oracle_fisher,
    "ggn": oracle_ggn,
    "hessian": oracle_hessian,
    "empirical_fisher": oracle_empirical_fisher,
}
TAGS = {name: tags_of(catalogue_problem(name)) for name in CATALOGUE}

every_quantity = pytest.mark.parametrize("quantity", ORACLES)
small_problems = pytest.mark.parametrize("name", [n for n, tags in TAGS.items() if "many-terms" not in tags])


@small_problems
@every_quantity
def test_a_quantity_equals_its_oracle_on_the_catalogue(name: str, quantity: str, quantities: Quantities) -> None:
    problem = catalogue_problem(name, seed=1)
    if quantity == "fisher" and "likelihood" not in TAGS[name]:
        with pytest.raises(UndefinedError, match="no log-likelihood"):
            oracle_fisher(problem)
        with pytest.raises(UndefinedError, match="no negative log-likelihood"):
            quantities.fisher(problem)
        return
    matrix = quantities.named(quantity)(problem).dense()
    assert_close(matrix, ORACLES[quantity](problem), f"{quantity} of {name}", condition=_lost_by_the_oracle(problem))


@pytest.mark.parametrize("name", [n for n, tags in TAGS.items() if {"many-terms", "linear-model"} <= tags])
def test_the_fisher_of_many_terms_is_the_mean_over_their_parts(name: str, quantities: Quantities) -> None:
    problem = catalogue_problem(name)
    whole = quantities.fisher(problem).dense()
    parts = torch.zeros_like(whole)
    for start in range(0, problem.num_samples, 40):
        piece = slice(start, start + 40)
        part = Problem(problem.model, problem.loss, [(problem.inputs[piece], problem.targets[piece])])
        parts += oracle_fisher(part) * _divisor(part)
    assert_close(whole, parts / _divisor(problem), f"fisher of {name} from its parts", size=problem.num_samples)


def _divisor(problem: Problem) -> int:
    """What the loss divides its sum by: one, or the number of targets that are not ignored."""
    if problem.loss.reduction == "sum":
        return 1
    ignored = getattr(problem.loss, "ignore_index", None)
    return problem.targets.numel() if ignored is None else int((problem.targets != ignored).sum())


@small_problems
@pytest.mark.parametrize("quantity", ["ggn", "hessian"])
def test_the_catalogue_in_float32_meets_the_oracle_in_float64(name: str, quantity: str, quantities: Quantities) -> None:
    problem = catalogue_problem(name, dtype=torch.float32)
    double = converted(problem, torch.float64)
    expected = ORACLES[quantity](double)
    # a Hessian is a difference of GGN and residual part: its rounding is that of the larger summand
    scale = max(float(expected.norm()), float(oracle_ggn(double).norm()))
    matrix = quantities.named(quantity)(problem).dense()
    assert matrix.dtype == torch.float32
    assert_close(matrix, expected, f"{quantity} of {name}", scale=scale)


def _lost_by_the_oracle(problem: Problem) -> float:
    """How much the oracle's ``p - p p'`` cancels: one over the least probability that anything else happens."""
    if not problem.facts.saturated:
        return 1.0
    outputs = problem.likelihood.split(problem.outputs)
    gaps = outputs.abs() if isinstance(problem.loss, torch.nn.BCEWithLogitsLoss) else outputs.topk(2).values.diff().abs()
    return float(gaps.max().exp())
