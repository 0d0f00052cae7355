import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import fisher, gradient
from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course import parametrisation_curves
from fishergauge.reports.course.parametrisation import Parametrisation
from fishergauge.reports.course.parametrisation_claims import (
    LINEAR_OR_SMALL,
    UNDAMPED,
    adaptive_verdict,
    damping_exponent,
    damping_verdict,
    kronecker_verdict,
    order,
    parametrisation_entries,
    standard_verdict,
    theorem_verdict,
)
from fishergauge.reports.course.parametrisation_curves import Curve, deviation, teacher_problem, training_curve
from fishergauge.reports.course.parametrisation_measurements import (
    curve_bound,
    damped_rows,
    law_rows,
    linear_rows,
    map_of,
    smooth_rows,
    within_chart,
)
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_close

STEPS = 4


@pytest.fixture(scope="module")
def results() -> list[tuple[Cell, Record]]:
    settings: list[dict[str, int | str]] = [
        {"study": "linear", "family": "scaling", "kappas": "100"},
        {"study": "linear", "family": "affine", "kappas": "10"},
        {"study": "smooth", "family": "sinh", "halvings": 3},
        {"study": "law"},
        {"study": "damped", "dampings": "1e-6,1e-5,1"},
    ]
    cells = [Cell("parametrisation", "corrected", "parametrisation", 0, tuple(setting.items())) for setting in settings]
    return [(cell, Parametrisation().run(cell, "cpu")) for cell in cells]


def rows_of(results: list[tuple[Cell, Record]], study: str, **where: Any) -> list[dict[str, Any]]:
    rows = [dict(row) for _, record in results for row in record["rows"] if row["study"] == study]
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


def test_the_fisher_of_the_problem_has_full_rank() -> None:
    for seed in (0, 1):
        information = fisher(teacher_problem(seed)).dense()
        assert torch.linalg.matrix_rank(information) == len(information) == 27
        assert torch.linalg.cond(information) < 1e4
    assert not torch.equal(teacher_problem(0).targets, teacher_problem(1).targets)


@pytest.mark.parametrize(("method", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_standard_methods_are_those_of_torch(method: str, kind: Any) -> None:
    problem = teacher_problem(0)
    here = problem.at(problem.vector)
    optimizer = kind(here.model.parameters(), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        here.loss(here.model(here.inputs), here.targets).backward()
        optimizer.step()
    curve = training_curve(problem, method, 0.1, STEPS)
    assert_close(curve.points[-1], here.vector, method, condition=100)  # 1 / sqrt(v) of small gradients
    assert_close(curve.outputs[-1], here.outputs.flatten(), "outputs", condition=100)
    with pytest.raises(ClaimViolated):
        assert_close(training_curve(problem, method, 0.11, STEPS).points[-1], here.vector, "another rate", condition=100)


def test_the_steps_of_the_natural_gradient_and_of_the_diagonal_solve_their_systems() -> None:
    problem = teacher_problem(0)
    slope, information = gradient(problem), fisher(problem).dense()
    condition = float(torch.linalg.cond(information))
    unit = float(information.diagonal().mean())
    for method, matrix in (("exact", information), ("diagonal", information.diagonal().diag())):
        curve = training_curve(problem, method, 0.5, 1)
        assert_close(matrix @ (curve.points[1] - curve.points[0]), -0.5 * slope, method, condition=condition)
    damped = training_curve(problem, "exact", 0.5, 1, damping=unit)
    shifted = information + unit * torch.eye(27).double()
    assert_close(shifted @ (damped.points[1] - damped.points[0]), -0.5 * slope, "damped", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(information @ (damped.points[1] - damped.points[0]), -0.5 * slope, "undamped", condition=condition)


def test_deviations_are_read_at_common_times() -> None:
    def curve(outputs: list[float]) -> Curve:
        column = torch.tensor(outputs, dtype=torch.float64)
        return Curve(column, column[:, None], column[:, None], 1.0)

    fine, coarse = curve([0.0, 1.0, 2.0, 3.0, 4.0]), curve([0.0, 2.0, 5.0])
    assert deviation(fine, coarse, 2, 1) == (1.0, 0.2)
    assert deviation(coarse, coarse) == (0.0, 0.0)
    assert deviation(curve([0.0, math.nan, math.nan]), coarse) == (math.inf, math.inf)
    assert fine.length == 4
    with pytest.raises(RuntimeError):
        deviation(fine, coarse)


def test_linear_maps_keep_the_curve_of_the_natural_gradient_and_of_kfac(
    results: list[tuple[Cell, Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("exact", "kfac"):
        rows = rows_of(results, "linear", method=method)
        assert len(rows) == 2
        assert kronecker_verdict(rows) == "confirmed"
        assert all(row["deviation"] < row["bound"] < 1e-5 for row in rows)
    assert all(row["deviation"] > 0.01 for row in rows_of(results, "linear", method="sgd"))
    assert [row["holds"] for row in rows_of(results, "linear", method="diagonal")] == [True, False]

    class Identity:
        def __init__(self, problem: Any) -> None:
            self.count = problem.num_parameters

        def dense(self) -> Tensor:
            return torch.eye(self.count, dtype=torch.float64)

    monkeypatch.setattr(parametrisation_curves, "fisher", Identity)
    assert kronecker_verdict(linear_rows("affine", (10.0,), ("exact",), 0, "cpu")) == "refuted"


def test_a_metric_of_the_first_coordinates_is_noticed_in_the_others() -> None:
    problem = teacher_problem(0)
    made = map_of(problem, "dense", 10.0, 0)
    reference = training_curve(problem, "exact", 0.2, STEPS)
    right = training_curve(made.problem, "exact", 0.2, STEPS)
    bound = curve_bound(right, reference, problem.num_parameters)
    assert deviation(right, reference)[1] <= bound
    slope, metric = gradient(made.problem), fisher(problem).dense()  # not transformed
    moved = made.problem.at(made.problem.vector - 0.2 * torch.linalg.solve(metric, slope))
    assert float((moved.outputs.flatten() - reference.outputs[1]).abs().max()) > 1e3 * bound


def test_smooth_maps_deviate_in_proportion_to_the_step(results: list[tuple[Cell, Record]]) -> None:
    natural = rows_of(results, "smooth", method="exact")
    assert order(natural) == pytest.approx(1, abs=0.2)
    assert all(row["deviation"] > 1e3 * row["bound"] for row in natural)
    assert order(rows_of(results, "smooth", method="sgd")) == pytest.approx(0, abs=0.1)
    longer = [{**row, "deviation": row["length"] ** 2} for row in natural]
    assert order(longer) == pytest.approx(2)
    assert math.isnan(order(natural[:1]))


def test_a_path_that_leaves_the_range_of_exp_is_marked() -> None:
    problem = teacher_problem(0)
    made = map_of(problem, "exp", 1.0, 0)
    assert within_chart(made, problem.vector[None])
    assert not within_chart(made, problem.vector[None] - 100)
    assert within_chart(map_of(problem, "sinh", 1.0, 0), problem.vector[None] - 100)
    assert not all(row["within_chart"] for row in smooth_rows("exp", 1, 0, "cpu") if row["method"] == "exact")


def test_both_forms_of_the_law_hold_and_the_transposed_one_does_not() -> None:
    for row in law_rows((("dense", 10.0), ("affine", 10.0), ("spherical", 1.0)), 1, "cpu"):
        assert max(row["course_form"], row["pull_back"]) <= row["bound"]
        assert row["transposed"] > 0.1 > row["bound"]


def test_damping_breaks_the_invariance_in_proportion(results: list[tuple[Cell, Record]]) -> None:
    rows = rows_of(results, "damped")
    assert damping_verdict(rows) == UNDAMPED
    assert damping_exponent(rows) == pytest.approx(1, abs=0.1)
    rotated = damped_rows(1.0, (0.1,), 0, "cpu", family="orthogonal")[0]  # which leave the identity what it is
    assert rotated["deviation"] <= rotated["bound"] < 1e-6
    free = damped_rows(10.0, (0.0,), 0, "cpu")[0]
    assert free["deviation"] <= free["bound"] < 1e-3 < rows[-1]["deviation"]


def test_verdicts_flip_with_their_figures(results: list[tuple[Cell, Record]]) -> None:
    linear, smooth, damped = (rows_of(results, study) for study in ("linear", "smooth", "damped"))
    exact = [row for row in linear if row["method"] == "exact"]
    assert theorem_verdict(exact, smooth) == LINEAR_OR_SMALL
    assert theorem_verdict([{**row, "deviation": 0.1} for row in exact], smooth) == "refuted"
    assert theorem_verdict([{**row, "deviation": None} for row in exact], smooth) == "refuted"
    assert theorem_verdict(exact, [{**row, "deviation": 0.1} for row in smooth]) == "refuted"
    assert theorem_verdict(exact, [{**row, "deviation": 0.0} for row in smooth]) == "confirmed"
    assert theorem_verdict([], smooth) == theorem_verdict(exact, []) == "refuted"
    assert standard_verdict(linear, smooth) == "confirmed"
    assert standard_verdict([{**row, "deviation": 1e-6} for row in linear], smooth) == standard_verdict([], []) == "refuted"
    kfac = [row for row in linear if row["method"] == "kfac"]
    assert kronecker_verdict([{**row, "deviation": 0.1} for row in kfac]) == kronecker_verdict([]) == "refuted"
    diagonal, adam = (
        [row for row in linear if row["method"] == m and row["family"] == "scaling"] for m in ("diagonal", "adam")
    )
    assert adaptive_verdict(diagonal, adam) == "refuted"
    assert adaptive_verdict(diagonal, [{**row, "deviation": 0.0} for row in adam]) == "confirmed"
    assert adaptive_verdict([{**row, "deviation": 0.1} for row in diagonal], adam) == "not testable as published"
    assert damping_verdict([{**row, "deviation": 0.0} for row in damped]) == "confirmed"
    assert damping_verdict([{**row, "deviation": row["damping"] ** 2} for row in damped]) == damping_verdict([]) == "refuted"
    assert damping_verdict([{**row, "deviation": 1e-4 * row["damping"]} for row in damped]) == "refuted"


def test_entries_and_artefacts(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    assert {entry.id: entry.verdict for entry in parametrisation_entries(results)} == {
        "PARAMETRISATION.1": LINEAR_OR_SMALL,
        "PARAMETRISATION.2": "confirmed",
        "PARAMETRISATION.3": "confirmed",
        "PARAMETRISATION.4": "refuted",
        "PARAMETRISATION.5": UNDAMPED,
    }
    assert parametrisation_entries([]) == []
    assert [entry.id for entry in parametrisation_entries(results[4:])] == ["PARAMETRISATION.5"]
    without_scalings = [entry.id for entry in parametrisation_entries(results[1:])]
    assert without_scalings == [f"PARAMETRISATION.{number}" for number in (1, 2, 3, 5)]
    paths = Parametrisation().artefacts("parametrisation", results, tmp_path)
    assert all(path.stat().st_size > 100 for path in paths)
    assert [path.suffix for path in paths] == [".csv", ".json", ".png", ".pdf", ".svg"]


def test_cells_follow_the_options() -> None:
    full, quick = (Parametrisation().cells(Options(("parametrisation",), quick=quick)) for quick in (False, True))
    assert len(full) == 20
    assert len(quick) == 5
    assert {cell.data for cell in full} == {"parametrisation"}
