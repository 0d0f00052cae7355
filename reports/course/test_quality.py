import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import (
    Problem,
    empirical_fisher,
    fisher,
    kl_divergence,
    kl_matched_step,
    monte_carlo_fisher,
    objective,
)
from fishergauge.reports.course import compared_approximations, quality_measurements
from fishergauge.reports.course.compared_approximations import compared, drawn_fisher, low_rank
from fishergauge.reports.course.digit_problems import BLANK, along_a_run, digit_problem, images
from fishergauge.reports.course.quality import Quality
from fishergauge.reports.course.quality_claims import (
    CLEAR,
    GOOD,
    NEAR,
    QUIET,
    SHARP,
    bias_verdict,
    draws_verdict,
    multiples_verdict,
    performance_verdict,
    prediction_verdict,
    quality_entries,
    structure_verdict,
)
from fishergauge.reports.course.quality_measurements import bias_of_labels, regression_record, run_record
from fishergauge.reports.course.quality_measures import Yardstick, damped_direction, matrix_error, shape_error
from fishergauge.reports.course.quality_tables import predictions, ranked
from fishergauge.reports.data import load
from fishergauge.reports.extras import require
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation


@pytest.fixture(scope="module")
def small() -> Problem:
    """A classification problem of 24 parameters."""
    source = generator("test quality")
    model = nn.Sequential(nn.Linear(3, 3, dtype=torch.float64), nn.Tanh(), nn.Linear(3, 3, dtype=torch.float64))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    inputs = torch.randn(12, 3, generator=source, dtype=torch.float64)
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, torch.arange(12) % 3)], "small")


@pytest.fixture(scope="module")
def record(small: Problem) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_measurements, "digit_problem", lambda *_: small)
        return run_record("mlp", 0, 12, 1, "cpu", ends=True)


def test_the_yardstick_itself_is_perfect_and_another_matrix_is_not(small: Problem) -> None:
    yardstick = Yardstick(small)
    perfect = yardstick.measure(yardstick.exact.clone())
    for name, value in perfect.items():
        assert value == pytest.approx(0.0 if name.endswith("_error") else 1.0, abs=1e-7), name
    other = yardstick.measure(empirical_fisher(small).dense())
    assert all(value != pytest.approx(0.0 if name.endswith("_error") else 1.0, abs=1e-3) for name, value in other.items())


def test_the_scale_of_a_matrix_changes_its_entries_and_the_length_of_its_step_alone(small: Problem) -> None:
    yardstick = Yardstick(small)
    matrix = empirical_fisher(small).dense()
    one, four = yardstick.measure(matrix), yardstick.measure(4 * matrix)
    for name in ("shape_error", "cos_fisher", "first_order", "first_order_1", "gain_0.0001"):
        assert four[name] == pytest.approx(one[name], rel=1e-9), name
    for name in ("matrix_error", "trace_ratio", "step_error"):
        assert four[name] != pytest.approx(one[name], rel=1e-2), name


def test_measures_of_a_multiple_are_known(small: Problem) -> None:
    yardstick = Yardstick(small)
    found = yardstick.measure(4 * yardstick.exact)
    wanted = {"matrix_error": 3.0, "trace_ratio": 4.0, "step_error": 0.75, "cos_fisher": 1.0, "first_order": 1.0}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-9)
    assert found["shape_error"] == pytest.approx(0, abs=1e-9)


def test_the_slope_is_that_of_the_definition(small: Problem) -> None:
    yardstick, direction = Yardstick(small), torch.arange(24).double().cos()
    length = (direction @ fisher(small).dense() @ direction).sqrt()
    assert yardstick.slope(direction) == pytest.approx(float(yardstick.gradient @ direction / length), rel=1e-12)
    assert yardstick.slope(direction) != pytest.approx(float(yardstick.gradient @ direction / direction.norm()), rel=1e-2)


def test_errors_of_matrices_are_those_of_their_definitions() -> None:
    exact, matrix = torch.diag(torch.tensor([3.0, 4.0])).double(), torch.diag(torch.tensor([4.0, 3.0])).double()
    assert matrix_error(matrix, exact) == pytest.approx(math.sqrt(2) / 5)
    scales = torch.linspace(0, 2, 20001).double()
    least = min(float((c * matrix - exact).norm() / 5) for c in scales)
    assert shape_error(matrix, exact) == pytest.approx(least, rel=1e-6)
    assert shape_error(matrix, exact) < matrix_error(matrix, exact) * (1 - 1e-3)
    assert shape_error(torch.zeros_like(exact), exact) == 1


def test_the_direction_solves_the_damped_system(small: Problem) -> None:
    matrix, right = fisher(small).dense(), Yardstick(small).gradient
    damped = matrix + 0.1 * matrix.trace() / len(matrix) * torch.eye(len(matrix)).double()
    condition = float(torch.linalg.cond(damped))
    direction = damped_direction(matrix, right, 0.1)
    assert_close(direction, torch.linalg.solve(damped, right), "damped direction", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(damped_direction(matrix, right, 0.11), torch.linalg.solve(damped, right), "other", condition=condition)


def test_an_indefinite_matrix_is_damped_by_the_moduli_of_its_eigenvalues() -> None:
    matrix, right = torch.diag(torch.tensor([3.0, -1.0])).double(), torch.ones(2).double()
    assert_close(damped_direction(matrix, right, 0.1), torch.tensor([1 / 3.2, -1 / 0.8], dtype=torch.float64), "indefinite")
    assert not bool(damped_direction(torch.zeros(2, 2).double(), right, 0.1).any())


def test_a_negative_eigenvalue_below_the_damping_is_noticed() -> None:
    matrix, right = torch.diag(torch.tensor([3.0, -0.1], dtype=torch.float64)), torch.ones(2).double()
    damping = 0.1 * 3.1 / 2  # of the moduli: the trace would give 0.1 * 2.9 / 2
    assert_close(
        damped_direction(matrix, right, 0.1),
        torch.tensor([1 / (3 + damping), 1 / (damping - 0.1)], dtype=torch.float64),
        "moduli",
    )


def test_the_gain_is_that_of_a_step_of_the_true_divergence(small: Problem) -> None:
    yardstick = Yardstick(small)
    for kl, gained in zip(yardstick.kls, yardstick.gained(yardstick.direction), strict=True):
        step = kl_matched_step(small, yardstick.direction, kl)
        there = small.vector + step
        assert float(kl_divergence(small, there)) == pytest.approx(kl, rel=1e-9)
        expected = float(objective(small) - objective(small.at(there)))
        assert gained == pytest.approx(expected, rel=1e-8)
        assert gained != pytest.approx(float(objective(small) - objective(small.at(small.vector + 0.9 * step))), rel=1e-2)


def test_the_gain_of_small_steps_is_the_first_order(small: Problem) -> None:
    row = Yardstick(small, kls=(1e-8,)).measure(torch.eye(24).double())
    assert row["gain_1e-08"] == pytest.approx(row["first_order"], rel=1e-3)  # the next order is the step, 1e-4
    assert row["gain_1e-08"] != pytest.approx(row["cos_fisher"], rel=1e-3)


def test_no_step_of_that_divergence_is_no_gain(small: Problem) -> None:
    assert Yardstick(small).gained(torch.zeros(24).double()) == [None, None]


def test_compressed_draws_are_the_same_matrix(small: Problem) -> None:
    whole = monte_carlo_fisher(small, 9, generator("draws")).dense()
    assert_close(drawn_fisher(small, 9, generator("draws")).dense(), whole, "compressed draws", size=24)
    assert drawn_fisher(small, 9, generator("draws")).root.shape == (12, 3, 3)
    with pytest.raises(ClaimViolated):
        assert_close(drawn_fisher(small, 9, generator("other draws")).dense(), whole, "other draws", size=24)


def test_a_low_rank_has_the_error_of_the_eigenvalues_it_lacks(small: Problem) -> None:
    exact = fisher(small).dense()
    lacking = torch.linalg.eigvalsh(exact)[:-5].norm()
    matrix = low_rank(small, 5)
    assert int(torch.linalg.matrix_rank(matrix, rtol=1e-9)) == 5
    assert_close((matrix - exact).norm(), lacking, "rank 5", scale=float(exact.norm()), size=24)
    with pytest.raises(ClaimViolated):
        assert_close((low_rank(small, 6) - exact).norm(), lacking, "rank 6", scale=float(exact.norm()), size=24)


def test_a_new_approximation_of_the_kit_enters_by_itself(small: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {one.name for one in compared(small, 1)}
    assert {"hessian", "quasi-diagonal", "low-rank-10", "monte-carlo-100"} <= names
    assert not any("reduce" in name for name in names)  # no weight is shared
    assert any("reduce" in one.name for one in compared(digit_problem("cnn", 0, 5), 1))
    new = Approximation("new", "new", lambda p, _: torch.eye(p.num_parameters).double(), None)
    monkeypatch.setattr(compared_approximations, "approximations", lambda: {"new": new})
    found = {one.name: one for one in compared(small, 1)}
    assert float(found["new"].matrix(small).trace()) == 24


def test_the_images_are_those_of_the_data_set() -> None:
    features = load("digits").inputs[:6]
    raw, _ = require("sklearn.datasets").load_digits(return_X_y=True)
    pictures = torch.as_tensor(raw).double()
    wanted = images(features).flatten(1)
    assert not bool(wanted[:, list(BLANK)].any())
    centred = pictures - pictures.mean(0)

    def likeness(features: Tensor) -> Tensor:
        """The correlation with the nearest picture of the data set."""
        normed, known = (
            torch.nn.functional.normalize(features),
            torch.nn.functional.normalize(centred / centred.std(0).clamp(0.1)),
        )
        return (normed @ known.T).amax(1)

    shifted = images(features.roll(1, 1)).flatten(1)
    assert float(likeness(wanted).min()) > 0.95 > float(likeness(shifted).max())


def test_the_blank_pixels_are_those_that_do_not_vary_in_the_training_part() -> None:
    raw, labels = require("sklearn.datasets").load_digits(return_X_y=True)
    split = require("sklearn.model_selection").train_test_split
    train = split(raw, labels, test_size=0.25, random_state=0, stratify=labels)[0]
    assert tuple((train.max(0) == train.min(0)).nonzero()[0]) == BLANK


def test_a_run_goes_down_and_leaves_its_start_alone() -> None:
    start = digit_problem("mlp", 1, 30)
    before = start.vector
    points = along_a_run(start)
    losses = [float(objective(problem)) for problem in points.values()]
    assert list(points) == ["start", "midway", "near optimum"]
    assert torch.equal(start.vector, before)
    assert losses[1] <= 0.5 * losses[0] < 2 * losses[1] + losses[0]
    assert losses[2] <= 0.02 * losses[0] < losses[1]
    assert not torch.equal(digit_problem("mlp", 2, 30).vector, before)


def test_the_deviation_of_the_trace_has_mean_zero_and_variance_one_under_the_models_labels(small: Problem) -> None:
    weights, labels = small.outputs.softmax(-1), small.targets
    whole, mean, variance = bias_of_labels(small)["z"], 0.0, 0.0
    for k, p in enumerate(weights):
        found = []
        for label in range(3):
            other = labels.clone()
            other[k] = label
            found.append(bias_of_labels(Problem(small.model, small.loss, [(small.inputs, other)]))["z"] - whole)
        z = torch.tensor(found, dtype=torch.float64)
        mean += float(p @ z)
        variance += float(p @ z.square() - (p @ z) ** 2)
    assert whole + mean == pytest.approx(0, abs=1e-9)
    assert variance == pytest.approx(1, rel=1e-9)


def test_the_traces_of_the_bias_are_those_of_the_matrices(small: Problem) -> None:
    found = bias_of_labels(small)
    assert found["trace_fisher"] == pytest.approx(float(fisher(small).trace()), rel=1e-12)
    assert found["trace_empirical"] == pytest.approx(float(empirical_fisher(small).trace()), rel=1e-12)
    assert found["trace_empirical"] != pytest.approx(found["trace_fisher"], rel=1e-2)
    assert found["enumeration"] < 1e-13
    assert found["spread"] * found["z"] == pytest.approx(found["trace_empirical"] / found["trace_fisher"] - 1, rel=1e-12)


def test_a_wrong_enumeration_is_noticed(small: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_measurements, "fisher", empirical_fisher)
    assert draws_verdict(bias_of_labels(small)["enumeration"]) == "confirmed"


def test_residuals_of_c_sigma_give_c_squared_times_the_fisher(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = regression_record("cpu")["rows"]
    assert {row["multiple"]: round(row["ratio"], 9) for row in rows} == {0.0: 0.0, 0.5: 0.25, 1.0: 1.0, 2.0: 4.0}
    assert max(row["distance"] for row in rows) < 1e-13
    monkeypatch.setattr(quality_measurements, "empirical_fisher", fisher)  # a Fisher that is sold as an empirical one
    assert max(row["distance"] for row in regression_record("cpu")["rows"]) > 1


def test_rules_flip_with_their_figures() -> None:
    assert bias_verdict([0.0, -CLEAR - 1], [1.0]) == "confirmed"
    assert bias_verdict([0.0, QUIET], [SHARP]) == "refuted"
    assert bias_verdict([0.0, QUIET], [2 * SHARP]) == "not testable as published"  # a bias would not have been seen
    assert bias_verdict([0.0, CLEAR], [SHARP]) == "not testable as published"
    assert performance_verdict({"a": GOOD, "b": 1.0}) == "confirmed"
    assert performance_verdict({"a": GOOD - 0.1, "b": GOOD + 0.2}) == "confirmed"
    assert performance_verdict({"a": GOOD - 0.2, "b": GOOD + 0.1}) == "refuted"
    assert performance_verdict({}) == "refuted"
    one, two = {"multiple": 1.0, "ratio": 1.0}, {"multiple": 2.0, "ratio": 4.0}
    assert multiples_verdict([one, two | {"ratio": 1.0}]) == "confirmed"
    assert multiples_verdict([one, two]) == "confirmed only if the residuals have the size that the model says"
    assert multiples_verdict([one | {"ratio": 2.0}, two]) == "refuted"
    assert draws_verdict(1e-15) == "refuted"
    assert prediction_verdict([0.9, 0.8], 26) == "confirmed"
    assert prediction_verdict([0.9, 0.4], 26).startswith("confirmed only if the tendency")
    assert prediction_verdict([0.15, 0.2], 26) == "refuted"
    assert prediction_verdict([0.15, 0.2], 101).startswith("confirmed only if the tendency")


@pytest.mark.parametrize(
    ("error", "gain", "verdict"),
    [
        (NEAR / 2, 1.0, "confirmed"),
        (2 * NEAR, 1.0, "confirmed only if the step is meant, not the matrix"),
        (NEAR / 2, 0.1, "confirmed only if the matrix is meant, not the step"),
        (2 * NEAR, 0.1, "refuted"),
    ],
)
def test_a_structure_is_judged_by_matrix_and_step(error: float, gain: float, verdict: str) -> None:
    assert structure_verdict({"a": error}, {"a": gain}) == verdict


def test_the_entries_follow_from_measured_records_and_flip_with_them(record: dict[str, Any]) -> None:
    cells = Quality().cells(Options(("quality",)))
    results = [(cells[-2], record), (cells[-1], regression_record("cpu"))]
    before = {entry.id: entry.verdict for entry in quality_entries(results)}
    assert list(before) == [f"QUALITY.{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert before["QUALITY.3"].startswith("confirmed only if")
    assert before["QUALITY.4"] == "refuted"
    for row in record["rows"]:
        if row["approximation"] == "empirical-fisher":
            row["gain_0.0001"], kept = 1.0, row["gain_0.0001"]
            row["kept"] = kept
    after = {entry.id: entry.verdict for entry in quality_entries(results)}
    assert after["QUALITY.2"] == "confirmed" != before["QUALITY.2"]
    assert {name for name in after if after[name] != before[name]} <= {"QUALITY.2", "QUALITY.9"}
    for row in record["rows"]:
        row["gain_0.0001"] = row.pop("kept", row["gain_0.0001"])


def test_claims_without_figures_are_left_out() -> None:
    cells = Quality().cells(Options(("quality",)))
    assert quality_entries([]) == []
    assert [entry.id for entry in quality_entries([(cells[-1], regression_record("cpu"))])] == ["QUALITY.3"]


def test_the_problems_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    for name in ("mlp", "cnn"):
        digit_problem(name, 0, 5)
    regression_record("cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_rankings_and_correlations_know_what_is_better() -> None:
    gains = {"exact-fisher": 1.0, "a": 0.9, "b": 0.5, "c": 0.1}
    place = {"architecture": "mlp", "point": "start"}
    rows = [{**place, "approximation": name, "label": name, **_measures(1 - gain, gain)} for name, gain in gains.items()]
    assert all(order == ["exact-fisher", "a", "b", "c"] for order in ranked(rows).values())
    assert predictions(rows)[0]["shape_error"] == predictions(rows)[0]["cos_fisher"] == pytest.approx(1)
    wrong = [{**row, "shape_error": row["gain_0.0001"]} for row in rows]
    assert predictions(wrong)[0]["shape_error"] == pytest.approx(-1)
    assert predictions(rows)[0]["approximations"] == 3


def _measures(error: float, gain: float) -> dict[str, float]:
    low = dict.fromkeys(("matrix_error", "shape_error", "step_error"), error)
    high = ("cos_fisher", "first_order", "first_order_0.001", "first_order_1", "gain_0.0001", "gain_0.01", "trace_ratio")
    return {**low, **dict.fromkeys(high, gain)}


def test_options_are_honoured_and_artefacts_written(record: dict[str, Any], tmp_path: Path) -> None:
    experiment = Quality()
    cells = partial(Options, ("quality",))
    assert len(experiment.cells(cells())) == 5
    assert len(experiment.cells(cells(quick=True))) == 2
    assert len(experiment.cells(cells(seeds=3))) == 7
    results = [(experiment.cells(cells())[0], record)]
    paths = experiment.artefacts("quality", results, tmp_path)
    assert {path.name for path in paths} >= {"quality_results.csv", "quality_summary.json", "quality_figure.png"}
    assert all(path.stat().st_size > 500 for path in paths)
    assert experiment.run(experiment.cells(cells())[-1], "cpu")["rows"]
