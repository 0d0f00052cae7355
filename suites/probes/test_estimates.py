"""Trace and distance of a subject from the exact target: verdicts where they are promised, estimates elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, fisher, ggn, hessian, kfac
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.estimates import PROBES, distance, trace
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.small_problem import small_problem
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def case_of(build: Callable[[Problem], Any], problem: Problem, seed: int = 0, **declared: Any) -> ProbeCase:
    return ProbeCase(Subject("subject", build, **declared), problem, tags_of(problem), seed=seed)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@pytest.fixture(scope="module")
def exact(problem: Problem) -> Tensor:
    return fisher(problem).dense()


EKFAC: dict[str, Any] = {"structure": "eigen-kronecker"}
KFAC: dict[str, Any] = {"structure": "kronecker"}


@DTYPES
@pytest.mark.parametrize(("build", "target"), [(fisher, "fisher"), (ggn, "ggn"), (hessian, "hessian")])
def test_right_dense_matrices_are_at_rounding(build: Callable[[Problem], Any], target: Any, dtype: torch.dtype) -> None:
    problem = small_problem(dtype)
    for measure in (distance, trace):
        found = measure(case_of(lambda p: build(p).dense(), problem, target=target))
        assert found.holds
        assert found.witness == ""


def test_scale_of_a_dense_matrix_is_seen_by_both(problem: Problem) -> None:
    case = case_of(lambda p: 1.02 * ggn(p).dense(), problem, target="ggn")
    far, tr = distance(case), trace(case)
    assert far.measured == pytest.approx(0.02)
    assert far.interval == pytest.approx((0.02, 0.02))
    assert not tr.holds
    assert tr.estimate == pytest.approx(0.02)
    assert "1.02 of x'Mx" in tr.witness


@pytest.mark.parametrize("seed", range(6))
def test_defect_of_one_sign_at_the_power_is_seen_in_the_trace(problem: Problem, exact: Tensor, seed: int) -> None:
    inside = directions(problem, 1, "trace", seed)
    power = trace(case_of(fisher, problem)).power
    assert power is not None
    size = power * float(exact.norm())
    found = trace(altered_case(problem, fisher, low_rank(size * inside, inside), seed))
    assert not found.holds


@pytest.mark.parametrize(("build", "declared"), [(kfac, KFAC), (eigen_kfac, EKFAC)])
def test_interval_of_the_distance_has_the_right_one_inside(
    problem: Problem, exact: Tensor, build: Callable[[Problem], Any], declared: dict[str, Any]
) -> None:
    right = float((build(problem).dense() - exact).norm() / exact.norm())
    inside = []
    for seed in range(24):
        found = distance(case_of(build, problem, seed, **declared))
        assert found.interval is not None
        inside.append(found.interval[0] <= right <= found.interval[1])
        assert found.interval[1] / found.interval[0] < 4
    assert sum(inside) >= 20  # of 24; below with a probability of 0.6 % at 95 %


@pytest.mark.parametrize(
    "build", [lambda p: 1.3 * kfac(p).dense(), lambda p: fisher(p).dense().diag().diag()], ids=["kfac", "diagonal"]
)
def test_interval_of_the_trace_has_the_right_one_inside(
    problem: Problem, exact: Tensor, build: Callable[[Problem], Any]
) -> None:
    right = float(build(problem).trace() / exact.trace()) - 1
    inside = []
    for seed in range(40):
        found = trace(case_of(build, problem, seed, structure="block-diagonal"))
        assert found.interval is not None
        inside.append(found.interval[0] <= right <= found.interval[1])
    assert sum(inside) >= 34


@DTYPES
def test_trace_of_an_ekfac_is_cleared(dtype: torch.dtype) -> None:
    problem = small_problem(dtype)
    for seed in range(3):
        case = case_of(eigen_kfac, problem, seed, **EKFAC)
        found = trace(case)
        assert found.holds
        assert found.interval is not None
        assert found.interval[0] <= 0 <= found.interval[1]
        assert case.products == 8 + 8 + 16


@pytest.mark.parametrize("seed", range(6))
def test_trace_of_an_ekfac_off_by_its_power_is_seen(problem: Problem, seed: int) -> None:
    power = trace(case_of(eigen_kfac, problem, seed, **EKFAC)).power
    assert power is not None
    found = trace(case_of(lambda p: (1 + 2 * power) * eigen_kfac(p).dense(), problem, seed, **EKFAC))
    assert found.measured > found.bound
    assert "tr A is" in found.witness


def test_what_is_measured_for_information_takes_few_products(problem: Problem) -> None:
    case = case_of(kfac, problem, **KFAC)
    case.shared()
    before = case.products, case.exact_products
    distance(case)
    assert (case.products, case.exact_products) == before
    trace(case)
    assert (case.products - before[0], case.exact_products - before[1]) == (8, 16)


def test_kfac_promises_neither() -> None:
    promised = [p.id for p in PROBES if p.made_by(Subject("s", kfac, structure="kronecker"))]
    assert promised == ["probe-representations"]


def test_drawn_matrix_is_estimated_not_judged() -> None:
    assert not any(p.made_by(Subject("s", fisher, samples=1)) for p in PROBES if p.id != "probe-representations")


def test_zero_target_has_no_relative_distance(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(kfac, problem, **KFAC)
    monkeypatch.setattr(case, "exact_product", torch.zeros_like)
    with pytest.raises(NotHere, match="zero"):
        distance(case)
    with pytest.raises(NotHere, match="zero"):
        trace(case)
