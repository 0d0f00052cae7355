"""Diagonals by products: what is beside them, and their entries, all of them or drawn ones."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, hessian
from fishergauge.suites.correct import Diagonal
from fishergauge.suites.probes import exact_rows
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.diagonal_agreement import diagonal_entries, diagonal_leak
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

SEEDS = range(12)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def case_of(problem: Problem, change: Callable[[Tensor], Tensor] = lambda d: d, target: str = "fisher") -> ProbeCase:
    of = hessian if target == "hessian" else fisher
    subject = Subject("diagonal", lambda p: Diagonal(change(of(p).diagonal())), target, "diagonal")  # type: ignore[arg-type]
    return ProbeCase(subject, problem, tags_of(problem))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("target", ["fisher", "hessian"])
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "loss-per-position", "masked-labels"])
def test_right_diagonals_hold(name: str, target: str, dtype: torch.dtype) -> None:
    case = case_of(catalogue_problem(name, dtype), target=target)
    for measure in (diagonal_leak, diagonal_entries):
        found = measure(case)
        assert found.holds, found.witness
        assert found.witness == ""


def test_every_entry_is_compared_where_rows_are_few(problem: Problem) -> None:
    for place in range(problem.num_parameters):

        def change(diagonal: Tensor, place: int = place) -> Tensor:
            return torch.where(torch.arange(len(diagonal)) == place, 1.01 * diagonal, diagonal)

        found = diagonal_entries(case_of(problem, change))
        assert not found.holds
        assert found.power is None


def test_entries_are_drawn_where_rows_are_many(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_rows, "MOST_ROWS", 0)
    assert diagonal_entries(case_of(problem)).holds
    found = diagonal_entries(case_of(problem, lambda d: 2 * d))
    assert not found.holds
    assert found.power == pytest.approx(1 - 1e-6 ** (1 / 64))
    assert "expected" in found.witness
    assert "the fraction" in found.seen


@pytest.mark.parametrize(
    "change", [torch.sqrt, lambda d: d.mean().expand_as(d).clone(), torch.zeros_like], ids=["root", "mean", "zero"]
)
@pytest.mark.parametrize("most", [0, 640])
def test_wrong_entries_are_seen(
    problem: Problem, change: Callable[[Tensor], Tensor], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_rows, "MOST_ROWS", most)
    assert not diagonal_entries(case_of(problem, change)).holds


def test_entry_of_a_parameter_is_named(problem: Problem) -> None:
    name, part = list(case_of(problem).slices().items())[1]

    def change(diagonal: Tensor) -> Tensor:
        diagonal[part] /= 12
        return diagonal

    witness = diagonal_entries(case_of(problem, change)).witness
    assert witness == f"{name}: ratio to the expected block 0.0833333 = 1/12 in every entry"


@pytest.mark.parametrize("seed", SEEDS)
def test_leak_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """Nearly rank one beside the diagonal; the sums of its rows count in the size that the power is relative to."""
    uv = directions(problem, 2, "diagonal", seed)
    diagonal = fisher(problem).diagonal()

    def build(p: Problem) -> Diagonal:
        return Diagonal(diagonal)

    def leaking(size: float) -> ProbeCase:
        change = low_rank(size * 2 * float(diagonal.norm()) * uv[:, :1], uv[:, 1:])
        return altered_case(problem, build, change, seed, structure="diagonal")

    power = diagonal_leak(leaking(0)).power
    assert power is not None
    assert not diagonal_leak(leaking(1.2 * power)).holds  # a part of it lies on the diagonal
    assert diagonal_leak(leaking(power / 1e6)).holds


def test_row_sums_are_asked_for_once(problem: Problem) -> None:
    case = case_of(problem)
    diagonal_leak(case)
    diagonal_entries(case)
    assert case.products == 8 + 1
