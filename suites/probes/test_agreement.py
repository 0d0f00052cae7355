"""The exact target by products: what is right holds in either precision, and a deviation at the power is seen."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Curvature, Problem, empirical_fisher, fisher, ggn, hessian
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.probes.agreement import PROBES, exact
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.structured_vectors import structured_vectors
from fishergauge.suites.subject import Subject, Target
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

BUILDS: Mapping[Target, Callable[[Problem], Curvature]] = {
    "fisher": fisher,
    "ggn": ggn,
    "hessian": hessian,
    "empirical-fisher": empirical_fisher,
}
SEEDS = range(12)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("target", BUILDS)
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "small-attention", "saturated-softmax", "softmax-regression"])
def test_right_matrices_hold(name: str, target: Target, dtype: torch.dtype) -> None:
    """Dense ones against the products of the same matrix, which round differently."""
    right = catalogue_problem(name, dtype)
    subject = Subject("right", lambda p: BUILDS[target](p).dense(), target)
    found = exact(ProbeCase(subject, right, tags_of(right)))
    assert found.holds, found.witness
    assert found.witness == ""


@pytest.mark.parametrize("seed", SEEDS)
def test_deviation_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """Rank one, the worst case; and what is far below the bound is not."""
    norm = float(ggn(problem).dense().norm())
    uv = directions(problem, 2, "exact", seed)

    def deviating(size: float) -> ProbeCase:
        change = low_rank(size * norm * uv[:, :1], uv[:, 1:])
        return altered_case(problem, ggn, change, seed, target="ggn")

    power = exact(deviating(0)).power
    assert power is not None
    assert not exact(deviating(1.01 * power)).holds
    assert exact(deviating(power / 1e4)).holds


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_power_is_a_multiple_of_the_bound(dtype: torch.dtype) -> None:
    right = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    found = exact(ProbeCase(Subject("right", ggn, "ggn"), right, tags_of(right)))
    assert found.power == pytest.approx(19.28 * found.bound, rel=1e-3)


def test_witness_names_parameter_and_ratio(problem: Problem) -> None:
    name, part = list(ProbeCase(Subject("right", ggn, "ggn"), problem, tags_of(problem)).slices().items())[1]

    def build(p: Problem) -> Tensor:
        matrix = ggn(p).dense()
        matrix[part] /= 3
        return matrix

    found = exact(ProbeCase(Subject("third", build, "ggn"), problem, tags_of(problem)))
    assert f"{name}: ratio to the expected block 0.333333 = 1/3 in every entry" in found.witness
    assert "random vector" in found.witness


@pytest.mark.parametrize("which", ["ones", "signs in turn", "the last unit vector", "both ends of each parameter"])
def test_what_only_a_structured_vector_sees(problem: Problem, which: str) -> None:
    """An operator that is wrong at one vector alone, which is no matrix."""
    special = structured_vectors(altered_case(problem, ggn, torch.zeros_like, target="ggn"))[which]()

    def change(vectors: Tensor) -> Tensor:
        hit = (vectors == special[:, None]).all(0)
        return torch.where(hit, 0.01 * special[:, None], torch.zeros_like(vectors))

    found = exact(altered_case(problem, ggn, change, target="ggn"))
    assert not found.holds
    assert which in found.witness


def test_number_of_products(problem: Problem) -> None:
    case = ProbeCase(Subject("right", ggn, "ggn"), problem, tags_of(problem))
    exact(case)
    assert case.products == case.exact_products == 8 + len(structured_vectors(case))
    assert len(structured_vectors(case)) <= 23


def test_zero_target_asks_for_zero() -> None:
    right = catalogue_problem("mlp-tanh-softmax")
    with torch.no_grad():
        for parameter in right.model.parameters():
            parameter.zero_()
    assert exact(ProbeCase(Subject("right", hessian, "hessian"), right, tags_of(right))).holds


def test_each_probe_stands_for_a_claim() -> None:
    ids = [probe.id for probe in PROBES]
    assert len(set(ids)) == len(ids)
    assert all(of in CLAIMS for probe in PROBES for of in probe.of)
    assert all(probe.blind and probe.control and probe.statement for probe in PROBES)
