"""What operators say of themselves, against their products."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, ggn, kfac
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes import representations
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.representations import offered
from fishergauge.suites.probes.small_problem import small_problem
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


class Operator:
    """A GGN by its products, with whatever else it is given."""

    def __init__(self, problem: Problem) -> None:
        self.matrix = ggn(problem)
        self.shape = self.matrix.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.matrix @ vectors


def case_of(problem: Problem, seed: int = 0, structure: Any = "dense", **methods: Any) -> ProbeCase:
    """A GGN with these methods, functions of the matrix."""
    named = {name: (lambda self, f=function: f(self.matrix)) for name, function in methods.items()}
    kind = type("Offering", (Operator,), named)
    return ProbeCase(Subject("subject", kind, "ggn", structure), problem, tags_of(problem), seed=seed)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@DTYPES
@pytest.mark.parametrize(("build", "structure"), [(ggn, "dense"), (kfac, "kronecker"), (eigen_kfac, "eigen-kronecker")])
def test_right_operators_are_cleared(build: Any, structure: Any, dtype: torch.dtype) -> None:
    problem = small_problem(dtype)
    found = offered(ProbeCase(Subject("subject", build, "ggn", structure), problem, tags_of(problem)))
    assert found.holds
    assert found.witness == ""
    assert found.power == pytest.approx(0.4377, abs=1e-4)


def test_normalised_diagonal_is_seen(problem: Problem) -> None:
    found = offered(case_of(problem, diagonal=lambda m: m.diagonal() / 24))
    assert not found.holds
    assert "of the diagonal is" in found.witness


@pytest.mark.parametrize("seed", range(6))
def test_wrong_part_of_a_diagonal_is_seen(problem: Problem, seed: int) -> None:
    def partly(matrix: Any) -> Tensor:
        diagonal: Tensor = matrix.diagonal()
        diagonal[: len(diagonal) // 2] *= 1 + 1e-9
        return diagonal

    assert not offered(case_of(problem, seed, diagonal=partly)).holds


def test_trace_is_held_to_the_diagonal(problem: Problem) -> None:
    right = offered(case_of(problem, diagonal=lambda m: m.diagonal(), trace=lambda m: m.trace()))
    wrong = offered(case_of(problem, diagonal=lambda m: m.diagonal(), trace=lambda m: m.trace() * (1 + 1e-10)))
    assert right.holds
    assert not wrong.holds
    assert "the sum of the diagonal is" in wrong.witness


@DTYPES
def test_trace_alone_is_held_to_quadratic_forms(dtype: torch.dtype) -> None:
    problem = small_problem(dtype)
    for seed in range(4):
        right = offered(case_of(problem, seed, trace=lambda m: m.trace()))
        assert right.holds
        assert right.power is not None
        factor = 1 + 1.2 * right.power
        wrong = offered(case_of(problem, seed, trace=lambda m, f=factor: m.trace() * f))
        assert not wrong.holds
        assert "the mean of 24 quadratic forms is" in wrong.witness


@pytest.mark.parametrize(
    ("diagonal", "says"),
    [
        (lambda m: m.diagonal()[:-1], "has shape"),
        (lambda m: m.diagonal() * torch.nan, "NaN or infinite"),
        (lambda m: -m.diagonal(), "of the diagonal is -"),
    ],
)
def test_unusable_diagonal_is_said(problem: Problem, diagonal: Any, says: str) -> None:
    found = offered(case_of(problem, diagonal=diagonal))
    assert not found.holds
    assert says in found.witness


def test_one_that_raises_is_the_subjects_failure(problem: Problem) -> None:
    with pytest.raises(SubjectFailed, match="ZeroDivisionError"):
        offered(case_of(problem, diagonal=lambda m: 1 / 0))


def test_nothing_offered_is_nothing_to_measure(problem: Problem) -> None:
    with pytest.raises(NotHere, match="offers no diagonal"):
        offered(case_of(problem))
    with pytest.raises(NotHere, match="a tensor"):
        offered(ProbeCase(Subject("t", lambda p: ggn(p).dense(), "ggn"), problem, tags_of(problem)))


def refusing(_: Any) -> Tensor:
    raise NotImplementedError


def test_refused_is_as_if_it_were_not_there(problem: Problem) -> None:
    with pytest.raises(NotHere, match="offers no diagonal"):
        offered(case_of(problem, diagonal=refusing, trace=refusing))


def test_dear_diagonal_of_a_large_operator_is_not_asked_for(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representations, "MOST_PARAMETERS", 100)
    with pytest.raises(NotHere, match="is asked for up to 100 parameters"):
        offered(case_of(problem, diagonal=lambda m: 1 / 0))
    assert not offered(case_of(problem, structure="low-rank", diagonal=lambda m: m.diagonal() / 2)).holds
