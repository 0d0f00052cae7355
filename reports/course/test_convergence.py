import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import empirical_fisher, gradient, hessian, kfac
from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course import convergence_deep_linear, convergence_least_squares, convergence_logistic
from fishergauge.reports.course.convergence import Convergence
from fishergauge.reports.course.convergence_claims import (
    BY_DEPTH,
    NO_LONG_STEPS,
    SMALL_DAMPING,
    blocks_verdict,
    convergence_entries,
    damping_verdict,
    empirical_verdict,
    independence_verdict,
    quadratic_verdict,
    standard_verdict,
    steps_met,
)
from fishergauge.reports.course.convergence_deep_linear import deep_linear, deep_linear_rows, exponent, function_error, run
from fishergauge.reports.course.convergence_iterations import (
    damped_rate,
    gradient_descent_rate,
    heavy_ball_matrix,
    heavy_ball_rate,
    heavy_ball_steps,
    predicted_steps,
    steps_to_tolerance,
)
from fishergauge.reports.course.convergence_least_squares import least_squares, least_squares_rows
from fishergauge.reports.course.convergence_logistic import closed_form, dominant, logistic_regression, logistic_rows, optimum
from fishergauge.reports.course.convergence_noise import noise_rows
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.power_law import power_law_exponent

SPECTRUM = torch.tensor([1.0, 0.3, 0.02], dtype=torch.float64)
SMALL: dict[str, tuple[float, ...]] = {
    "least squares": (10.0, 1e3),
    "logistic": (3, 5),
    "noise": (0.3, 1.0),
    "deep linear": (2, 3),
}


@pytest.fixture(scope="module")
def results() -> list[tuple[Cell, Record]]:
    cells = [
        Cell("convergence", "corrected", "convergence", 0, (("study", study), ("sweep", ",".join(f"{v:g}" for v in sweep))))
        for study, sweep in SMALL.items()
    ]
    return [(cell, Convergence().run(cell, "cpu")) for cell in cells]


def rows_of(results: list[tuple[Cell, Record]], study: str) -> list[dict[str, Any]]:
    return [dict(row) for _, record in results for row in record["rows"] if row["study"] == study]


def plain_count(matrix: Tensor, error: Tensor, tolerance: float) -> int:
    goal, count = tolerance * float(error.norm()), 0
    while float(error.norm()) > goal:
        error, count = matrix @ error, count + 1
    return count


def test_the_rates_are_spectral_radii() -> None:
    kappa = float(SPECTRUM[0] / SPECTRUM[-1])
    descent = 1 - 2 / (SPECTRUM[0] + SPECTRUM[-1]) * SPECTRUM
    assert_close(
        descent.abs().max(), torch.tensor(gradient_descent_rate(kappa), dtype=torch.float64), "gradient descent", condition=10
    )
    ball = heavy_ball_matrix(SPECTRUM.diag(), float(SPECTRUM[0]), float(SPECTRUM[-1]))
    radius = float(torch.linalg.eigvals(ball).abs().max())
    # the double roots are defective: an error u of the matrix moves them by sqrt(u)
    assert radius == pytest.approx(heavy_ball_rate(kappa), abs=1e-6)
    assert radius != pytest.approx(gradient_descent_rate(kappa), abs=1e-2)
    assert damped_rate(0.02, 0.01) == pytest.approx(float((1 - SPECTRUM / (SPECTRUM + 0.01)).max()))


def test_steps_by_powers_are_those_of_a_loop() -> None:
    error = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for length in (0.5, 1.0, 1.9):
        matrix = torch.eye(3).double() - length * SPECTRUM.diag()
        steps, rate = steps_to_tolerance(matrix, error, 1e-5, 3)
        assert steps == plain_count(matrix, error, 1e-5)
        assert steps != plain_count(matrix, error, 1e-6)
        assert rate == pytest.approx(float(matrix.diagonal().abs().max()), rel=0.05)


def test_steps_end_where_nothing_converges() -> None:
    steps, rate = steps_to_tolerance(1.5 * torch.eye(2).double(), torch.ones(2).double(), 1e-3, 2, exponent=4)
    assert steps == 2**4
    assert rate == pytest.approx(1.5)


def test_predicted_steps_solve_their_equations() -> None:
    n = predicted_steps(0.9, 1e-6, share=0.5)
    assert 0.5 * 0.9**n == pytest.approx(1e-6)
    n = heavy_ball_steps(0.9, 1e-6, share=0.2)
    assert 0.2 * (1 + n * 1.9) * 0.9**n == pytest.approx(1e-6)
    assert predicted_steps(0.0, 1e-6) == 1
    assert predicted_steps(1.2, 1e-6) == math.inf


def test_the_problem_has_the_spectrum_and_the_solution_that_it_promises() -> None:
    problem, solution = least_squares(1e3, 0)
    values = torch.linalg.eigvalsh(hessian(problem).dense())
    expected = torch.logspace(-3, 0, len(values), dtype=torch.float64)
    assert_close(values, expected, "eigenvalues", condition=1e3)
    here = problem.at(solution)
    assert_close(gradient(here), torch.zeros_like(solution), "stationary", scale=float(here.targets.norm()))
    shares = torch.linalg.eigh(hessian(problem).dense()).eigenvectors.T @ (problem.vector - solution)
    assert_close(shares.abs(), torch.full_like(shares, len(shares) ** -0.5), "equal shares", condition=1e3)


def test_all_steps_are_the_predicted_ones(results: list[tuple[Cell, Record]]) -> None:
    rows = rows_of(results, "least squares")
    assert {row["method"] for row in rows} >= {"gradient", "heavy ball", "natural 1", "damped 0.01"}
    assert steps_met(
        [row for row in rows if row["kappa"] == 1e3 and row["method"] in ("gradient", "heavy ball", "natural 0.1")]
    )
    assert standard_verdict([row for row in rows if row["method"] in ("gradient", "heavy ball")]) == "confirmed"
    ball = next(row for row in rows if row["method"] == "heavy ball" and row["kappa"] == 1e3)
    alone = predicted_steps(ball["predicted_rate"], 1e-6)
    assert abs(ball["measured_steps"] - alone) > 0.2 * alone  # the rate without its factor n


def test_a_fisher_of_twice_the_size_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice:
        def __init__(self, problem: Any) -> None:
            self.matrix = 2 * hessian(problem).dense()

        def dense(self) -> Tensor:
            return self.matrix

    right = [row for row in least_squares_rows((10.0,), 0, "cpu") if row["method"].startswith("natural")]
    assert independence_verdict(right) == "confirmed"
    monkeypatch.setattr(convergence_least_squares, "fisher", Twice)
    wrong = [row for row in least_squares_rows((10.0,), 0, "cpu") if row["method"].startswith("natural")]
    assert independence_verdict(wrong) == "refuted"


def test_the_closed_form_is_that_of_the_problem() -> None:
    problem = logistic_regression(3)
    source = torch.Generator().manual_seed(0)
    here = problem.at(torch.randn(4, generator=source, dtype=torch.float64))
    closed, direction = closed_form(here), torch.randn(4, generator=source, dtype=torch.float64)
    assert_close(closed.gradients(here.vector[None])[0], gradient(here), "gradient", size=here.num_samples)
    size = 1e-4
    above, below = (hessian(here.at(here.vector + sign * size * direction)).dense() for sign in (1, -1))
    third = (above - below) @ direction / (2 * size)
    found = closed.third_derivative(here.vector, direction)
    assert float((found - third).norm() / third.norm()) < 1e-6  # of central differences: size^2 and u / size
    with pytest.raises(ClaimViolated):
        assert_close(closed.gradients(-here.vector[None])[0], gradient(here), "elsewhere", size=here.num_samples)


def test_the_optimum_is_one() -> None:
    best, path = optimum(logistic_regression(3))
    start = float(gradient(logistic_regression(3)).norm())
    assert float(gradient(best).norm()) < 1e-14 < start
    assert len(path) < 15


def test_natural_gradients_converge_quadratically_and_empirical_ones_do_not(
    results: list[tuple[Cell, Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(results, "logistic")
    assert quadratic_verdict(rows) == "confirmed"
    for row in rows:
        assert row["gradient_measured_rate"] == pytest.approx(row["gradient_predicted_rate"], abs=1e-6)
        assert row["empirical_measured_rate"] == pytest.approx(row["empirical_predicted_rate"], rel=1e-4)
    assert rows[0]["empirical_predicted_rate"] < 1 < rows[1]["empirical_predicted_rate"]
    assert rows[0]["empirical_final_error"] < 1e-10 < 1e-3 < rows[1]["empirical_final_error"]
    best, _ = optimum(logistic_regression(3))
    monkeypatch.setattr(convergence_logistic, "optimum", lambda problem: (best, [best.vector]))
    monkeypatch.setattr(convergence_logistic, "fisher", empirical_fisher)
    assert quadratic_verdict(logistic_rows((3,), 0, "cpu")) == "refuted"


def test_the_dominant_eigenvalue_is_that_of_a_general_solver() -> None:
    source = torch.Generator().manual_seed(3)
    A, B = (torch.randn(5, 9, generator=source, dtype=torch.float64) for _ in range(2))
    preconditioner, matrix = A @ A.T, B @ B.T
    value, vector = dominant(preconditioner, matrix)
    iteration = torch.eye(5).double() - torch.linalg.solve(preconditioner, matrix)
    eigenvalues = torch.linalg.eigvals(iteration).real
    condition = float(torch.linalg.cond(preconditioner))
    found = torch.tensor(value, dtype=torch.float64)
    assert_close(found, eigenvalues[eigenvalues.abs().argmax()], "eigenvalue", condition=condition)
    assert_close(iteration @ vector, value * vector, "eigenvector", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(iteration.T @ vector, value * vector, "of the transpose", condition=condition)


def test_the_rate_of_the_empirical_fisher_follows_the_noise() -> None:
    rows = noise_rows((0.2, 0.7, 4.0), 0, "cpu")
    for row in rows:
        assert row["measured_rate"] == pytest.approx(row["predicted_rate"], rel=1e-3)
    assert rows[0]["predicted_rate"] > 2
    assert rows[1]["predicted_rate"] < 1
    assert rows[2]["predicted_rate"] == pytest.approx(rows[2]["simple_rate"], abs=0.02)
    assert rows[2]["predicted_rate"] != pytest.approx(rows[1]["predicted_rate"], abs=0.1)


def test_kfac_steps_are_those_of_the_exact_blocks_and_overshoot_by_the_depth() -> None:
    problem, solution = deep_linear(3, 1e4, 0)
    by_blocks, by_kfac = (
        torch.tensor(run(problem, solution, method, 1 / 3, steps=2), dtype=torch.float64) for method in ("block", "kfac")
    )
    assert_close(by_kfac, by_blocks, "same path", condition=1e4)
    whole = run(problem, solution, "kfac", 1.0, steps=1)
    assert whole[1] / whole[0] == pytest.approx(2, abs=0.1)  # |1 - L|, to the size of the start
    assert by_kfac[1] / by_kfac[0] < 0.1
    far = torch.tensor(run(problem, solution, "exact", 0.5, steps=2), dtype=torch.float64)
    with pytest.raises(ClaimViolated):
        assert_close(far, by_blocks, "another method", condition=1e4)


def test_the_error_of_the_function_is_that_of_the_product() -> None:
    problem, solution = deep_linear(2, 10.0, 0)
    first, second = (parameter.detach() for parameter in problem.parameters.values())
    assert function_error(problem, second @ first) < 1e-14 < 1e-3 < function_error(problem, first @ second)
    assert float((problem.inputs @ solution.T - problem.targets).norm()) < 1e-13
    moments = torch.linalg.eigvalsh(problem.inputs.T @ problem.inputs)
    assert float(moments[-1] / moments[0]) == pytest.approx(10)


def test_exponents() -> None:
    assert exponent([1e-1, 1e-2, 1e-4, 1e-8]) == pytest.approx(2)
    assert exponent([1e-1, 1e-2, 1e-3, 1e-4]) == pytest.approx(1)
    assert exponent([1e-1, 1e-3, 1e-11]) is None
    assert exponent([1e-1, 1e-1, 1e-1]) is None
    x = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    assert power_law_exponent(x, 5 * x**3) == pytest.approx(3)


def test_other_factors_than_the_exact_blocks_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(problem: Any) -> Any:
        made = kfac(problem)
        for piece in made.kronecker:
            piece.input_factor = piece.input_factor / 2
        return made

    assert blocks_verdict(deep_linear_rows((2,), (10.0,), 0, "cpu")) == BY_DEPTH
    monkeypatch.setattr(convergence_deep_linear, "kfac", half)
    assert blocks_verdict(deep_linear_rows((2,), (10.0,), 0, "cpu")) == "refuted"


def test_verdicts_flip_with_their_figures(results: list[tuple[Cell, Record]]) -> None:
    least, logistic, deep = (rows_of(results, study) for study in ("least squares", "logistic", "deep linear"))
    natural = [row for row in least if row["method"].startswith("natural")]
    assert independence_verdict(natural) == "confirmed"
    assert independence_verdict([{**row, "measured_steps": row["kappa"]} for row in natural]) == "refuted"
    assert independence_verdict([]) == standard_verdict([]) == damping_verdict([]) == quadratic_verdict([]) == "refuted"
    plain = [row for row in least if row["method"] == "gradient"]
    assert standard_verdict([{**row, "measured_steps": 1.05 * row["measured_steps"]} for row in plain]) == "refuted"
    damped = [row for row in least if row["method"].startswith("damped")]
    assert damping_verdict(damped) == SMALL_DAMPING
    assert damping_verdict([{**row, "measured_steps": 3, "predicted_steps": 3} for row in damped]) == "confirmed"
    assert damping_verdict([{**row, "measured_steps": 1.1 * row["measured_steps"]} for row in damped]) == "refuted"
    for key, value in (("natural_exponent", 1.0), ("natural_constant_deviation", 0.5), ("natural_half_rate", 0.6)):
        assert quadratic_verdict([{**row, key: value} for row in logistic]) == "refuted"
    assert all(abs(row["measured_rate"] - row["predicted_rate"]) < 0.1 for row in deep)  # to the size of the start
    assert blocks_verdict(deep) == BY_DEPTH
    assert blocks_verdict([{**row, "block_difference": 1e-3} for row in deep]) == "refuted"
    assert blocks_verdict([{**row, "exponent": 1.0} for row in deep]) == "refuted"
    assert blocks_verdict([{**row, "measured_rate": 0.01} for row in deep]) == "confirmed"
    assert blocks_verdict([{**row, "measured_rate": 1.5 * row["depth"]} for row in deep]) == "refuted"
    assert empirical_verdict([(0.5, 0.5), (0.9, 0.9)]) == "confirmed"
    assert empirical_verdict([(0.5, 0.5), (1.2, 1.2)]) == NO_LONG_STEPS
    assert empirical_verdict([(1.5, 1.5)]) == empirical_verdict([(0.5, 0.6)]) == empirical_verdict([]) == "refuted"


def test_entries_and_artefacts(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    verdicts = {(entry.id, entry.data): entry.verdict for entry in convergence_entries(results)}
    assert verdicts == {
        ("CONVERGENCE.1", "least-squares"): "confirmed",
        ("CONVERGENCE.2", "least-squares"): "confirmed",
        ("CONVERGENCE.3", "least-squares"): SMALL_DAMPING,
        ("CONVERGENCE.4", "breast-cancer"): "confirmed",
        ("CONVERGENCE.5", "breast-cancer"): NO_LONG_STEPS,
        ("CONVERGENCE.5", "noisy-regression"): NO_LONG_STEPS,
        ("CONVERGENCE.6", "deep-linear"): BY_DEPTH,
    }
    assert convergence_entries([]) == []
    assert [entry.id for entry in convergence_entries(results[3:])] == ["CONVERGENCE.6"]
    paths = Convergence().artefacts("convergence", results, tmp_path)
    assert all(path.stat().st_size > 100 for path in paths)
    assert [path.suffix for path in paths] == [".csv", ".json", ".png", ".pdf", ".svg"]


def test_cells_follow_the_options() -> None:
    full, quick = (Convergence().cells(Options(("convergence",), quick=quick)) for quick in (False, True))
    assert len(full) == 8
    assert len(quick) == 4
    assert len(Convergence().cells(Options(("convergence",), seeds=3))) == 12
    assert {cell.data for cell in full} == {"convergence"}
