import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Curvature, Problem, gradient, quasi_diagonal
from fishergauge.reports.course import costed_approximations
from fishergauge.reports.course.costed import Costed
from fishergauge.reports.course.costed_approximations import SAME_COST, costed
from fishergauge.reports.course.costed_vectors import leading_rows, truncated
from fishergauge.reports.course.efficiency import Efficiency
from fishergauge.reports.course.efficiency_claims import (
    GREAT,
    NEAR,
    blockwise_verdict,
    efficiency_entries,
    efficient_verdict,
    growth_verdict,
    intractable_verdict,
    storage_verdict,
    tractable_verdict,
)
from fishergauge.reports.course.efficiency_measurements import SAMPLES, cost_record, sizes_of, wide_problem
from fishergauge.reports.course.efficiency_tables import exponents, fitted, total
from fishergauge.reports.course.growth import exponent
from fishergauge.reports.course.operations import operations
from fishergauge.reports.experiment import Results
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import approximations

TABLE = costed()
NEEDED = (
    "exact-fisher",
    "ggn",
    "empirical-fisher",
    "monte-carlo-1",
    "fisher-layer-blocks",
    "kfac-joint",
    "low-rank-10",
    "products",
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return wide_problem(6)


@pytest.fixture(scope="module")
def results() -> Results:
    """Of the approximations that the claims need, at small widths."""
    cells = Efficiency().cells(Options(("efficiency",), quick=True))
    chosen = {dict(cell.settings)["approximation"]: cell for cell in cells}
    return [(chosen[name], cost_record(TABLE[name], (4, 6, 9), 1, "cpu")) for name in NEEDED]


@cache
def dense(one: Costed, problem: Problem) -> Tensor:
    """The matrix that is kept, by products with the unit vectors; computed once for each."""
    kept = one.form(problem)
    identity = torch.eye(problem.num_parameters, dtype=torch.float64)
    return torch.stack([one.apply(kept, row) for row in identity])


@pytest.mark.parametrize("name", TABLE)
def test_every_form_is_the_matrix_of_the_spectrum(name: str, problem: Problem) -> None:
    if name not in approximations():
        return
    built = approximations()[name].build(problem, problem)
    expected = built.dense() if isinstance(built, Curvature) else built
    assert_close(dense(TABLE[name], problem), expected, name)
    other = "gradient" if name != "gradient" else "adam"
    with pytest.raises(ClaimViolated):
        assert_close(dense(TABLE[other], problem), expected, name)


@pytest.mark.parametrize("name", TABLE)
def test_every_solve_inverts_the_damped_product(name: str, problem: Problem) -> None:
    one, right = TABLE[name], gradient(problem)
    kept = one.form(problem)
    matrix = dense(one, problem)
    damped = matrix + 0.1 * torch.eye(len(matrix), dtype=torch.float64)
    solution = one.solve(kept, right, 0.1)
    condition = float(torch.linalg.cond(damped))
    if name == "products":  # stopped early
        assert float((damped @ solution - right).norm() / right.norm()) < 1e-3
        return
    expected = torch.linalg.solve(damped, right)
    assert_close(solution, expected, name, condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(one.solve(kept, right, 0.11), expected, name, condition=condition)


def test_all_approximations_of_the_spectrum_are_costed_and_new_ones_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(approximations()) <= set(TABLE) | set(SAME_COST)
    assert set(SAME_COST.values()) <= set(TABLE)
    new = Approximation("new", "new", lambda p, _: torch.eye(p.num_parameters).double(), None)
    monkeypatch.setattr(costed_approximations, "approximations", lambda: {"new": new})
    one = costed()["new"]
    problem = wide_problem(3)
    assert one.kind == "dense"
    assert one.numbers(one.form(problem)) == problem.num_parameters**2
    assert_close(one.solve(one.form(problem), gradient(problem), 1.0), gradient(problem) / 2, "identity")


def test_the_quasi_diagonal_is_solved_as_by_its_own_method(problem: Problem) -> None:
    matrix, right = quasi_diagonal(problem), gradient(problem)
    solution = TABLE["quasi-diagonal"].solve(matrix, right, 0.1)
    condition = float(torch.linalg.cond(matrix.dense() + 0.1 * torch.eye(len(right)).double()))
    assert_close(solution, matrix.solve(right, 0.1), "Sherman and Morrison", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(solution, matrix.solve(right, 0.2), "another damping", condition=condition)


def test_conjugate_gradients_converge_with_enough_products(problem: Problem) -> None:
    matrix = TABLE["products"].form(problem)
    right = gradient(problem)
    expected = torch.linalg.solve(matrix.dense() + torch.eye(len(right)).double(), right)
    error = [float((truncated(matrix, right, 1.0, products) - expected).norm()) for products in (1, 5, 40)]
    assert error[2] < 1e-9 * float(expected.norm()) < error[1] < error[0]


def test_the_leading_rows_give_the_best_matrix_of_their_rank(problem: Problem) -> None:
    exact = TABLE["ggn"].form(problem)
    rows = leading_rows(problem, 7)
    lacking = torch.linalg.eigvalsh(exact)[:-7].norm()
    assert rows.shape == (7, problem.num_parameters)
    assert_close((rows.T @ rows - exact).norm(), lacking, "rank 7", scale=float(exact.norm()), size=len(exact))
    with pytest.raises(ClaimViolated):
        assert_close((rows[1:].T @ rows[1:] - exact).norm(), lacking, "rank 6", scale=float(exact.norm()), size=len(exact))


@pytest.mark.parametrize(
    ("call", "count"),
    [
        (lambda: torch.ones(2, 3) @ torch.ones(3, 4), 48),
        (lambda: torch.ones(5, 3) @ torch.ones(3), 30),
        (lambda: torch.ones(7) @ torch.ones(7), 14),
        (lambda: torch.linalg.cholesky_ex(torch.eye(6)), 72),
        (lambda: torch.linalg.eigh(torch.eye(4)), 9 * 64),
        (lambda: torch.cholesky_solve(torch.ones(5, 2), torch.eye(5)), 100),
        (lambda: torch.linalg.solve(torch.eye(6), torch.ones(6)), 144 + 72),
        (lambda: torch.ones(3, 4) * torch.ones(4), 12),
        (lambda: torch.ones(3, 5).sum(), 15),
        (lambda: torch.ones(3, 6).square_(), 18),
        (lambda: torch.ones(3, 4).T, 0),
    ],
)
def test_operations_are_counted_as_said(call: Any, count: int) -> None:
    assert operations(call)[0] == count


def test_operations_repeat() -> None:
    problem = wide_problem(8)
    counts = {operations(lambda: TABLE["kfac-joint"].form(problem))[0] for _ in range(2)}
    assert len(counts) == 1
    assert counts != {0}


def test_sizes_are_those_of_the_problem() -> None:
    for width in (3, 8):
        sizes, problem = sizes_of(width), wide_problem(width)
        assert sizes.parameters == problem.num_parameters == width**2 + 11 * width + 10
        assert [size for n, m in sizes.maps for size in (m * n, m)] == [p.numel() for p in problem.parameters.values()]
        assert sizes.samples == problem.num_samples == SAMPLES
        assert sizes.outputs == problem.outputs.shape[1]


def test_the_problem_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    wide_problem(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_exponent_is_that_of_a_power_law() -> None:
    assert exponent([10, 20, 50], [5 * x**1.5 for x in (10, 20, 50)]) == pytest.approx(1.5)
    assert exponent([10, 20, 50], [x**2.5 for x in (10, 20, 50)]) != pytest.approx(1.5, abs=0.5)
    assert exponent([10, 20, 50], [0, 20, 50]) == pytest.approx(1)
    assert math.isnan(exponent([10, 20], [0, 0]))


GROWN = ("exact-fisher", "empirical-fisher", "fisher-layer-blocks", "kfac-joint", "ekfac-joint", "fisher-diagonal", "products")


@pytest.mark.parametrize("name", GROWN)
def test_counted_operations_grow_as_theory_says(name: str) -> None:
    widths = (16, 24, 32) if TABLE[name].kind in ("dense", "blocks") else (40, 64, 96)
    rows = []
    for width in widths:
        problem, sizes = wide_problem(width), sizes_of(width)
        count, kept = operations(partial(TABLE[name].form, problem))
        solved, _ = operations(partial(TABLE[name].solve, kept, gradient(problem), 0.1))
        assert TABLE[name].numbers(kept) == TABLE[name].storage(sizes)
        rows.append((sizes.parameters, count, TABLE[name].forming(sizes), solved, TABLE[name].solving(sizes)))
    totals, formed, forming, solved_counts, solving = zip(*rows, strict=True)
    assert abs(exponent(totals, formed) - exponent(totals, forming)) <= NEAR
    assert abs(exponent(totals, solved_counts) - exponent(totals, solving)) <= NEAR
    assert abs(exponent(totals, formed) - exponent(totals, [x * p**0.25 for x, p in zip(forming, totals, strict=True)])) > NEAR


@pytest.mark.parametrize("name", TABLE)
def test_the_numbers_kept_are_those_of_the_formula(name: str, problem: Problem) -> None:
    kept, sizes = TABLE[name].form(problem), sizes_of(6)
    assert TABLE[name].numbers(kept) == TABLE[name].storage(sizes)
    assert name == "gradient" or name == "products" or TABLE[name].numbers(kept) != TABLE[name].storage(sizes_of(7))


def test_rules_flip_with_their_figures() -> None:
    assert growth_verdict(2.96, 3) == "confirmed" != growth_verdict(2.5, 3)
    assert intractable_verdict(3.0, 1.0) == "confirmed only if F is formed as a matrix"
    assert intractable_verdict(3.0, 3.0) == "confirmed"
    assert storage_verdict([{"numbers": 5, "numbers_theory": 5}]) == "confirmed"
    assert storage_verdict([{"numbers": 5, "numbers_theory": 6}]) == storage_verdict([]) == "refuted"
    assert efficient_verdict({100: GREAT, 200: 2 * GREAT}) == "confirmed"
    assert efficient_verdict({100: 1.0, 200: 2 * GREAT}) == "confirmed only if there are enough parameters (here 200)"
    assert efficient_verdict({100: 1.0}) == "refuted"
    assert tractable_verdict(3.0, 3.0, 1.0) == "refuted"
    assert tractable_verdict(3.0, 3.0, 9.6).startswith("confirmed only if a constant factor in forming")
    assert tractable_verdict(1.0, 3.0, 1.0) == "confirmed"
    assert blockwise_verdict(2.0, 3.0, 1.5) == "confirmed"
    assert blockwise_verdict(3.0, 3.0, 1.5) == "confirmed only if no layer holds most of the parameters"
    assert blockwise_verdict(3.0, 3.0, 50.0) == "confirmed only if a constant factor is enough"


def test_the_entries_follow_from_measured_records_and_flip_with_them(results: Results) -> None:
    before = {entry.id: entry.verdict for entry in efficiency_entries(results)}
    assert list(before) == [f"EFFICIENCY.{number}" for number in range(1, 11)]
    assert before["EFFICIENCY.4"] == "confirmed"
    changed = [(cell, {"rows": [dict(row) for row in record["rows"]]}) for cell, record in results]
    for _, record in changed:
        for row in record["rows"]:
            if row["approximation"] == "kfac-joint":
                row["numbers"] += 1
                row["flops"] *= row["P"]
    after = {entry.id: entry.verdict for entry in efficiency_entries(changed)}
    assert after["EFFICIENCY.4"] == after["EFFICIENCY.6"] == "refuted"
    assert {name for name in after if after[name] != before[name]} <= {"EFFICIENCY.4", "EFFICIENCY.5", "EFFICIENCY.6"}


def test_claims_without_figures_are_left_out(results: Results) -> None:
    assert efficiency_entries([]) == []
    kfac = [(cell, record) for cell, record in results if dict(cell.settings)["approximation"] == "kfac-joint"]
    assert [entry.id for entry in efficiency_entries(kfac)] == ["EFFICIENCY.4"]


def test_every_solve_of_the_record_left_no_residual(results: Results) -> None:
    residuals = {row["approximation"]: row["residual"] for _, record in results for row in record["rows"]}
    assert all(residual < 1e-9 for name, residual in residuals.items() if name != "products")
    assert 0 < residuals["products"] < 1e-3


def test_tables_sum_and_fit(results: Results) -> None:
    rows = [row for _, record in results for row in record["rows"]]
    own = [row for row in rows if row["approximation"] == "ggn" and row["width"] == 8]
    assert total(rows, "ggn", 8) == sum(row["flops"] for row in own if row["stage"] != "apply")
    assert fitted(rows, "ggn", "form", "numbers") == pytest.approx(2)
    lines = exponents(rows)
    assert len(lines) == 3 * len(NEEDED)
    assert {line["stage"] for line in lines} == {"form", "apply", "solve"}


def test_options_are_honoured_and_artefacts_written(results: Results, tmp_path: Path) -> None:
    experiment = Efficiency()
    full, quick = (experiment.cells(Options(("efficiency",), quick=quick)) for quick in (False, True))
    assert len(full) == len(quick) == len(TABLE)
    assert all(cell.protocol == "timed" for cell in full)
    assert not set(full) & set(quick)
    paths = experiment.artefacts("efficiency", results, tmp_path)
    names = {path.name for path in paths}
    assert names >= {"efficiency_results.csv", "efficiency_summary.json", "efficiency_figure.png", "efficiency_figure.pdf"}
    assert all(path.stat().st_size > 500 for path in paths)


def test_a_record_has_a_row_for_each_width_and_stage() -> None:
    rows = cost_record(TABLE["fisher-diagonal"], (3, 4), 1, "cpu")["rows"]
    assert [(row["width"], row["stage"]) for row in rows] == [(w, s) for w in (3, 4) for s in ("form", "apply", "solve")]
    assert all(row["seconds"] > 0 and row["flops"] > 0 for row in rows)
