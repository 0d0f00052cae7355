"""The sizes that rounding errors are relative to."""

import pytest
import torch

from fishergauge.reference import Problem, empirical_fisher, ggn, hessian
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, frobenius, norm, quotient, size_of
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.subject import Subject, Target
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem


def case_of(problem: Problem, target: Target = "ggn", columns: int = 8) -> ProbeCase:
    build = hessian if target == "hessian" else ggn
    return ProbeCase(Subject("right", build, target), problem, tags_of(problem), columns=columns)


def test_norm_of_the_matrix_is_estimated_by_its_products() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    assert frobenius(case_of(problem, columns=2000)) == pytest.approx(float(ggn(problem).dense().norm()), rel=0.1)


def test_nothing_cancels_in_a_plain_ggn() -> None:
    assert cancellation(case_of(zoo_problem("mlp-tanh-softmax"))) == 1.0


@pytest.mark.parametrize(
    ("name", "target"),
    [("mlp-tanh-softmax", "hessian"), ("saturated-softmax", "ggn"), ("saturated-binary", "empirical-fisher")],
)
def test_what_cancels_is_that_of_the_dense_claims_on_average(name: str, target: Target) -> None:
    """They divide norms of matrices, the probe norms of products with one vector: alike in size."""
    problem = catalogue_problem(name)
    quantities = QuantityCache()
    dense = quantities.scale(problem, target) / float(quantities.target(problem, target).norm())
    found = cancellation(case_of(problem, target))
    assert found > 1.0
    assert dense / 20 < found < 20 * dense


def test_what_cancels_in_a_hessian_is_summed_at_the_first_shared_vector() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    case = case_of(problem, "hessian")
    sizes = [float((build(problem).dense() @ case.shared()[0][:, 0]).norm()) for build in (hessian, ggn, empirical_fisher)]
    assert cancellation(case) == pytest.approx(sum(sizes) / sizes[0])


def test_size_of_a_product_has_a_floor() -> None:
    """A softmax does not see a shift of all logits: M v vanishes, and what is left is rounding."""
    problem = zoo_problem("softmax-regression")
    case = case_of(problem)
    still = torch.zeros(problem.num_parameters, dtype=torch.float64)
    still[case.slices()[list(problem.parameters)[-1]]] = 1
    product = ggn(problem) @ still
    assert norm(product) < 1e-14
    assert size_of(case, still, product) == pytest.approx(frobenius(case) * norm(still) / problem.num_parameters**0.5)
    loud = case.normal(1, "loud")[:, 0]
    assert size_of(case, loud, 100 * loud) == pytest.approx(100 * norm(loud))


def test_norm_sums_in_float64() -> None:
    assert norm(torch.full((3, 2), 1e30, dtype=torch.float32)) == pytest.approx(6**0.5 * 1e30)


def test_quotient() -> None:
    assert quotient(0.0, 0.0) == 0.0
    assert quotient(1.0, 0.0) == float("inf")
    assert quotient(1.0, 4.0) == 0.25
