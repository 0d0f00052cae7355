"""Verdicts, and how far an approximation is followed along the condition number."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import FAMILIES, Problem, ProblemError, Reparametrization, UnsupportedError, fisher, reparametrized
from fishergauge.suites.spectrum import cell
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.execution import Executor, Plan, breaking
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.spectrum.verdict import DECIDED, FINE, FLAT, RESOLVED, SLOPE, judged, judged_order
from fishergauge.suites.spectrum_cases import CATALOGUE, rows_of, small
from fishergauge.suites.subject import Subject

KAPPAS = tuple(10.0**k for k in range(1, 13))


def row(predicted: Any, measured: float, bound: float, **fields: Any) -> Row:
    return Row(
        "one", "m", "d", "float64", "dense", 100.0, "outputs", predicted, "why", measured=measured, bound=bound, **fields
    )


# --- verdicts ------------------------------------------------------------------------------------------------------

VERDICTS = [
    ("invariant", 1e-12, 1e-10, "holds"),
    ("invariant", 1e-10, 1e-10, "holds"),
    ("invariant", 1.1e-10, 1e-10, "violated"),
    ("first order", 1e-12, 1e-10, "holds"),
    ("first order", 1e-2, 1e-10, "violated"),
    ("invariant", 0.0, DECIDED, "holds"),
    ("invariant", 0.0, 1.01 * DECIDED, "not-claimed"),
    ("invariant", 5.0, 1.01 * DECIDED, "not-claimed"),
    ("invariant", 5.0, math.inf, "not-claimed"),
    ("invariant", 5.0, math.nan, "not-claimed"),
    ("invariant", math.nan, 1e-10, "violated"),
    ("invariant", math.inf, 1e-10, "violated"),
    ("not invariant", 1e-2, 1e-10, "holds"),
    ("not invariant", 1e-12, RESOLVED, "unexpected"),
    ("not invariant", 1e-12, 1.01 * RESOLVED, "not-claimed"),
    ("not invariant", 0.5, 0.4, "holds"),
    ("unknown", 1e-12, 1e-10, "not-claimed"),
    ("unknown", 1.0, 1e-10, "not-claimed"),
]


@pytest.mark.parametrize(("predicted", "measured", "bound", "verdict"), VERDICTS)
def test_the_verdict_on_an_approximation_of_the_catalogue(predicted: str, measured: float, bound: float, verdict: str) -> None:
    found = judged(row(predicted, measured, bound), own=True)
    assert found.verdict == verdict
    assert bool(found.reason) == (verdict in ("not-claimed", "unexpected"))
    assert found.red == (verdict in ("violated", "unexpected"))
    assert found.promised == (predicted != "unknown")


@pytest.mark.parametrize(("predicted", "measured", "bound", "verdict"), VERDICTS)
def test_a_subject_is_told_what_it_promises_only(predicted: str, measured: float, bound: float, verdict: str) -> None:
    found = judged(row(predicted, measured, bound), own=False)
    promised = predicted in ("invariant", "first order")
    assert found.verdict == (verdict if promised else "not-claimed")
    assert found.promised == promised


@pytest.mark.parametrize("measured", [1e-12, 1.0])
def test_eigenvalues_that_are_lost_leave_nothing_to_be_claimed(measured: float) -> None:
    found = judged(row("invariant", measured, 1e-10), own=True, lost="8 of 10")
    assert found.verdict == "not-claimed"
    assert "8 of 10" in found.reason
    assert judged(row("not invariant", 1.0, 1e-10), own=True, lost="8 of 10").verdict == "holds"


ORDERS = [
    ("first order", 1.0, 1e-10, "holds"),
    ("first order", 1 + 0.99 * SLOPE, FINE, "holds"),
    ("first order", 1 + 1.01 * SLOPE, 1e-10, "violated"),
    ("first order", 1 - 1.01 * SLOPE, 1e-10, "violated"),
    ("first order", 0.0, 1e-10, "violated"),
    ("first order", 0.0, 1.01 * FINE, "not-claimed"),
    ("first order", math.nan, 1e-10, "not-claimed"),
    ("not invariant", 0.0, 1e-10, "holds"),
    ("not invariant", FLAT, 1e-10, "holds"),
    ("not invariant", 1.0, 1e-10, "unexpected"),
    ("unknown", 1.0, 1e-10, "not-claimed"),
]


@pytest.mark.parametrize(("predicted", "exponent", "bound", "verdict"), ORDERS)
def test_the_verdict_on_an_exponent(predicted: str, exponent: float, bound: float, verdict: str) -> None:
    found = judged_order(row(predicted, exponent, 0.0), own=True, bound=bound)
    assert (found.verdict, found.bound if verdict != "not-claimed" else SLOPE) == (verdict, SLOPE)
    silent = judged_order(row(predicted, exponent, 0.0), own=False, bound=bound)
    assert silent.verdict == (verdict if predicted == "first order" else "not-claimed")


@pytest.mark.parametrize(("verdict", "red"), [("holds", False), ("violated", True), ("unexpected", True), ("error", True)])
def test_what_is_red(verdict: Any, red: bool) -> None:
    assert row("invariant", 0.0, 1.0, verdict=verdict).red == red
    assert not row("invariant", 0.0, 1.0, verdict="unsupported").red
    assert not row("invariant", 0.0, 1.0, verdict="not-claimed").red


# --- along the condition number ------------------------------------------------------------------------------------


def lines(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for one in rows:
        if one.measure == "outputs":
            found.setdefault(one.approximation, []).append(one)
    return found


@pytest.mark.parametrize(("model", "family"), [("softmax-reduced", "scaling"), ("mlp", "kronecker"), ("mlp", "dense")])
def test_an_approximation_is_followed_until_it_breaks(model: str, family: str) -> None:
    for name, line in lines(rows_of(small(model), family, list(CATALOGUE.values()), KAPPAS)).items():
        *before, last = line
        assert [one.kappa for one in line] == [k for k in KAPPAS if 100 <= k <= last.kappa], name
        assert all(one.verdict == "holds" and one.predicted == "invariant" for one in before), name
        assert last.kappa == KAPPAS[-1] or last.verdict != "holds" or last.predicted != "invariant", name


def test_with_many_that_break_at_once_none_is_passed_over() -> None:
    """All of them at the first condition number but the last one of the list."""
    broken = [replace(CATALOGUE["gradient"], name=f"broken-{k}", group="all") for k in range(5)]
    chosen = [*broken, CATALOGUE["fisher-diagonal"], replace(broken[0], name="broken-last")]
    found = lines(rows_of(small("mlp"), "scaling", chosen, KAPPAS))
    assert [len(found[one.name]) for one in chosen] == [1, 1, 1, 1, 1, 11, 1]


def test_to_the_end_all_are_followed_everywhere() -> None:
    chosen = [CATALOGUE["gradient"], CATALOGUE["fisher-diagonal"]]
    rows = rows_of(small("softmax-reduced"), "scaling", chosen, KAPPAS, to_the_end=True)
    for line in lines(rows).values():
        assert [one.kappa for one in line] == list(KAPPAS)
    damped = [one for one in rows if one.measure.startswith("damped")]
    assert {one.kappa for one in damped} == {100.0}
    assert len(damped) == 4


def test_without_a_condition_number_there_is_one_row_a_measure() -> None:
    rows = rows_of(small("mlp"), "orthogonal", [CATALOGUE["exact-fisher"]], KAPPAS)
    assert {one.kappa for one in rows} == {1.0}
    assert sorted(one.measure for one in rows) == ["damped", "damped by T'T", "outputs", "parameters"]


def test_a_family_without_a_map_gives_no_rows() -> None:
    assert rows_of(small("softmax"), "unit-affine", [CATALOGUE["exact-fisher"]], KAPPAS) == []


def test_beyond_the_precision_nothing_is_claimed() -> None:
    rows = rows_of(small("mlp", torch.float32), "affine", [CATALOGUE["fisher-layer-blocks"]], table=1e6)
    assert [(one.verdict, one.measured, one.predicted) for one in rows] == [("not-claimed", None, "invariant")]
    assert rows[0].reason.startswith("beyond float32")


def test_a_line_that_ends_where_there_is_no_map_any_more_breaks_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(problem: Problem, family: str, kappa: float) -> Reparametrization:
        if kappa > 1e4:
            raise ProblemError("too much")
        return reparametrized(problem, family, kappa)

    monkeypatch.setattr(cell, "reparametrized", refuse)
    rows = rows_of(small("mlp"), "scaling", [CATALOGUE["fisher-diagonal"]], KAPPAS)
    ((held, broken),) = breaking(rows)
    assert held is not None
    assert broken is not None
    assert (held.kappa, broken.kappa, broken.verdict, broken.reason) == (1e4, 1e5, "not-claimed", "beyond float64: too much")
    assert rows[-1] is broken


# --- what goes wrong -----------------------------------------------------------------------------------------------


def _raises(error: Exception) -> Callable[[Problem, Problem], Tensor]:
    def build(problem: Problem, original: Problem) -> Tensor:
        if problem is original:
            return fisher(problem).dense()
        raise error

    return build


@pytest.mark.parametrize(
    ("error", "layered", "family", "verdict", "reason"),
    [
        (ValueError("by itself"), False, "kronecker", "error", "ValueError: by itself"),
        (NotImplementedError("too large"), False, "kronecker", "unsupported", "too large"),
        (UnsupportedError("no layers"), False, "dense", "unsupported", "no layers"),
        (ValueError("by itself"), True, "kronecker", "error", "ValueError: by itself"),
    ],
)
def test_an_exception_is_a_row(error: Exception, layered: bool, family: str, verdict: str, reason: str) -> None:
    rows = rows_of(small("mlp"), family, [Approximation("raises", "", _raises(error), "all", layered=layered)], KAPPAS)
    assert [(one.verdict, one.reason, one.predicted, one.measured) for one in rows] == [(verdict, reason, "invariant", None)]


def test_a_matrix_of_layers_has_no_meaning_where_there_are_none() -> None:
    for family in (name for name, one in FAMILIES.items() if not one.layerwise):
        rows = rows_of(small("mlp"), family, [CATALOGUE["kfac-joint"]], KAPPAS)
        assert {one.verdict for one in rows} == {"unsupported"}
        assert "made of layers" in rows[0].reason


# --- the whole -----------------------------------------------------------------------------------------------------


def _problem(model: str, data: str, dtype: torch.dtype) -> Problem:
    return small(model, dtype).problem


def _measured(plan: Plan) -> list[Row]:
    executor = Executor(plan, _problem)
    found = {cell: executor.contained(cell) for group in plan.groups() for cell in group}
    return [row for cell in plan.cells() for row in found[cell]]


def test_a_plan_is_measured_in_its_order() -> None:
    plan = Plan(
        models=("mlp", "softmax"),
        data=("synthetic",),
        dtypes=("float64", "float32"),
        families=("scaling", "orthogonal"),
        kappas=(1e4,),
        approximations=("gradient", "exact-fisher"),
        subjects=[Subject("mine", lambda p: fisher(p).dense())],
    )
    rows = _measured(plan)
    cells = list(dict.fromkeys((one.model, one.dtype, one.family) for one in rows))
    assert cells == [(m, t, f) for m in plan.models for t in plan.dtypes for f in plan.families]
    assert len(cells) == 8
    assert list(dict.fromkeys(one.approximation for one in rows)) == ["gradient", "exact-fisher", "mine"]
    assert not any(one.red for one in rows)
    kappas = {one.kappa for one in rows if one.approximation == "gradient" and one.family == "scaling"}
    assert kappas == {100.0, 1e4}  # softmax regression is followed to the end
    again = _measured(replace(plan, families=("orthogonal", "scaling")))
    assert sorted(map(str, rows)) == sorted(map(str, again))  # what comes before makes no difference


def test_where_a_line_breaks() -> None:
    line = [row("invariant", 0.0, 1.0, verdict=verdict) for verdict in ("holds", "holds", "not-claimed", "holds")]
    line = [replace(one, kappa=10.0**k) for k, one in enumerate(line)]
    never = [replace(one, approximation="two", verdict="holds") for one in line]
    at_once = [replace(line[0], approximation="three", verdict="violated")]
    others = [
        replace(line[0], approximation="four", predicted="not invariant"),
        replace(line[0], approximation="five", measure="parameters"),
        replace(line[0], approximation="six", family="orthogonal"),
    ]
    found = list(breaking([*reversed(line), *never, *at_once, *others]))
    assert found == [(line[1], line[2]), (never[3], None), (None, at_once[0])]


def test_every_line_of_a_measured_spectrum_ends() -> None:
    rows = rows_of(small("mlp"), "kronecker", list(CATALOGUE.values()), KAPPAS)
    pairs = list(breaking(rows))
    assert len(pairs) == sum(one.measure == "outputs" and one.predicted == "invariant" and one.kappa == 100 for one in rows)
    for held, broken in pairs:
        assert held is not None
        assert broken is not None or held.kappa == KAPPAS[-1]
        assert broken is None or held.kappa < broken.kappa


def test_the_cell_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []
    monkeypatch.setattr(cell, "heartbeat", lambda: beats.append(1))
    rows_of(small("softmax"), "permutation", [CATALOGUE["gradient"], CATALOGUE["adam"]])
    assert len(beats) == 2
