"""Negative eigenvalues by products: what is right is cleared in either dtype, what is indefinite is proved to be."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, empirical_fisher, fisher, ggn, hessian, kfac
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.lanczos import seen_negative
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.small_problem import small_problem
from fishergauge.suites.probes.spectral_ends import STEPS
from fishergauge.suites.probes.spectrum import PROBES, semi_definite
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import zoo_problem

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@pytest.fixture(scope="module")
def largest(problem: Problem) -> float:
    return float(torch.linalg.eigvalsh(ggn(problem).dense())[-1])


def case_of(build: Callable[[Problem], Any], problem: Problem, **declared: Any) -> ProbeCase:
    return ProbeCase(Subject("subject", build, **declared), problem, tags_of(problem))


@DTYPES
@pytest.mark.parametrize("build", [fisher, kfac, eigen_kfac, lambda p: fisher(p).block_diagonal()])
def test_right_matrices_are_cleared(build: Callable[[Problem], Any], dtype: torch.dtype) -> None:
    found = semi_definite(case_of(build, small_problem(dtype)))
    assert found.holds
    assert found.witness == ""
    assert found.interval is not None
    assert found.interval[0] < 0


@DTYPES
def test_empirical_fisher_of_low_rank_is_cleared(dtype: torch.dtype) -> None:
    assert semi_definite(case_of(empirical_fisher, small_problem(dtype), target="empirical-fisher")).holds


@DTYPES
def test_hessian_sold_as_ggn_is_seen(dtype: torch.dtype) -> None:
    problem = small_problem(dtype)
    found = semi_definite(case_of(hessian, problem, target="ggn"))
    exact = torch.linalg.eigvalsh(hessian(problem).dense().double())
    assert not found.holds
    assert found.measured == pytest.approx(float(-exact[0] / exact.abs().max()), rel=1e-3)
    assert found.interval is not None
    assert found.interval[0] <= float(exact[0] / exact.abs().max()) <= found.interval[1] + 1e-5


def test_smallest_eigenvalue_is_estimated_for_a_hessian(problem: Problem) -> None:
    found = semi_definite(case_of(hessian, problem, target="hessian"))
    exact = torch.linalg.eigvalsh(hessian(problem).dense())
    assert found.estimate == pytest.approx(float(exact[0] / exact.abs().max()), rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_eigenvalue_of_the_size_of_the_power_is_seen(problem: Problem, largest: float, seed: int) -> None:
    power = seen_negative(problem.num_parameters, STEPS)
    inside = directions(problem, 1, "negative", seed)
    found = semi_definite(altered_case(problem, ggn, low_rank(-1.5 * power * largest * inside, inside), seed, target="ggn"))
    assert not found.holds
    assert found.power == pytest.approx(power, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_one_a_tenth_as_large_is_seen_in_the_spectrum_of_a_network(problem: Problem, largest: float, seed: int) -> None:
    size = 0.1 * seen_negative(problem.num_parameters, STEPS) * largest
    inside = directions(problem, 1, "tenth", seed)
    assert not semi_definite(altered_case(problem, ggn, low_rank(-1.5 * size * inside, inside), seed, target="ggn")).holds


def test_of_a_matrix_of_low_rank_any_that_is_no_rounding_is_seen(problem: Problem) -> None:
    inside = directions(problem, 4, "low rank")
    values = torch.tensor([3.0, 2.0, 1.0, -1e-9], dtype=torch.float64)
    found = semi_definite(case_of(lambda p: inside @ values.diag() @ inside.T, problem))
    assert not found.holds
    assert found.measured == pytest.approx(1e-9 / 3, rel=1e-3)


def test_rounding_is_not_called_negative(problem: Problem, largest: float) -> None:
    inside = directions(problem, 1, "rounding")
    assert semi_definite(altered_case(problem, ggn, low_rank(-1e-15 * largest * inside, inside), target="ggn")).holds


def test_quotient_of_the_witness_is_a_proof(problem: Problem) -> None:
    found = semi_definite(case_of(hessian, problem, target="ggn"))
    lowest = float(found.witness.split("x'Ax = ")[1].split()[0])
    assert float(torch.linalg.eigvalsh(hessian(problem).dense())[0]) <= lowest * 0.999


def test_matrix_that_is_not_symmetric_is_judged_by_its_symmetric_part(problem: Problem) -> None:
    left, right = directions(problem, 2, "lopsided").unbind(1)
    case = altered_case(problem, ggn, lambda v: torch.outer(left, right @ v) - torch.outer(right, left @ v), target="ggn")
    assert semi_definite(case).holds


def test_zero_matrix_is_cleared(problem: Problem) -> None:
    found = semi_definite(case_of(lambda p: torch.zeros(2 * (p.num_parameters,), dtype=p.dtype), problem))
    assert found.holds
    assert found.estimate == 0


def test_inner_products_that_overflow_are_said() -> None:
    found = semi_definite(case_of(lambda p: torch.full(2 * (467,), 3e36), small_problem(torch.float32)))
    assert not found.holds
    assert "the products overflow in torch.float32 after 1 steps" in found.witness


def test_negative_of_a_matrix_is_seen_in_full(problem: Problem) -> None:
    assert semi_definite(case_of(lambda p: -ggn(p).dense(), problem)).measured == pytest.approx(1)


def test_product_that_is_not_finite_is_the_subjects_failure(problem: Problem) -> None:
    case = altered_case(problem, ggn, lambda v: torch.full_like(v, torch.nan), target="ggn")
    with pytest.raises(SubjectFailed, match="NaN"):
        semi_definite(case)


def test_products_are_counted_and_their_number_is_fixed(problem: Problem) -> None:
    for build in (ggn, hessian):
        case = case_of(build, problem, target="ggn")
        case.shared()
        before = case.products
        semi_definite(case)
        assert case.products - before == STEPS


def test_one_that_fails_in_the_middle_is_said(problem: Problem) -> None:
    calls: list[int] = []

    def change(vectors: Tensor) -> Tensor:
        calls.append(1)
        return torch.full_like(vectors, torch.inf if len(calls) > 10 else 0.0)

    with pytest.raises(SubjectFailed, match="infinite"):
        semi_definite(altered_case(problem, ggn, change, target="ggn"))


def test_every_zoo_like_shape_works_below_the_number_of_steps() -> None:
    small = zoo_problem("mlp-tanh-softmax")
    assert semi_definite(case_of(fisher, small)).holds


def test_quasi_diagonal_and_hessian_do_not_promise_it() -> None:
    probe = next(p for p in PROBES if p.id == "probe-psd")
    assert not probe.made_by(Subject("s", ggn, structure="quasi-diagonal"))
    assert not probe.made_by(Subject("s", hessian, target="hessian"))
    assert probe.made_by(Subject("s", ggn, samples=1))
