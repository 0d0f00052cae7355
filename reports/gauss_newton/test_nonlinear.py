import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, ggn, gradient, hessian
from fishergauge.reports.gauss_newton import nonlinear_hessian
from fishergauge.reports.gauss_newton.evidence_training import network_problem, train
from fishergauge.reports.gauss_newton.nonlinear import Nonlinear
from fishergauge.reports.gauss_newton.nonlinear_claims import (
    FROM_LIVE_STARTS,
    SAMPLED_ONLY,
    bias_verdict,
    linearised_verdict,
    log_loss_of_fit,
    paths_verdict,
    underfit_verdict,
)
from fishergauge.reports.gauss_newton.nonlinear_field import field_record
from fishergauge.reports.gauss_newton.nonlinear_hessian import hessian_row, linearised_hessian
from fishergauge.reports.gauss_newton.nonlinear_predictive import relu_record
from fishergauge.reports.gauss_newton.predictive_scores import gaussian_scores, mixture_scores
from fishergauge.reports.gauss_newton.relu_model import ReluMoments, relu_data, relu_problem
from fishergauge.reports.options import Options
from fishergauge.reports.reproduce import reproduce
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.seeding import generator

POINTS = [[2.0, 2.0], [0.5, 1.0], [-1.0, 2.0], [3.0, -0.5]]


@pytest.mark.parametrize("point", POINTS)
def test_the_moments_give_gradient_ggn_and_hessian_of_the_model(point: list[float]) -> None:
    data, theta = relu_data(0), torch.tensor(point, dtype=torch.float64)
    moments, problem = ReluMoments(data), relu_problem(data, theta)
    scale = float(moments.hessian(theta).norm()) + 1
    prior = moments.precision * theta
    assert_close(moments.gradient(theta) - prior, gradient(problem) / 2, "gradient", scale=scale, size=1000)
    assert_close(moments.ggn(theta), ggn(problem).dense() / 2, "GGN", scale=scale, size=1000)
    assert_close(moments.hessian(theta), hessian(problem).dense() / 2, "Hessian", scale=scale, size=1000)
    if point[1] > 0:
        with pytest.raises(ClaimViolated):
            assert_close(moments.ggn(theta), hessian(problem).dense() / 2, "GGN = Hessian", size=1000)


def test_the_ggn_has_rank_one_and_its_kernel_is_the_tangent_of_the_hyperbola() -> None:
    theta = torch.tensor([1.5, 0.5], dtype=torch.float64)
    matrix = ReluMoments(relu_data(0)).ggn(theta)
    assert float((matrix @ (theta * torch.tensor([1.0, -1.0]))).norm()) < 1e-13 * float(matrix.norm())
    assert float((matrix @ theta).norm()) > float(matrix.norm()) / 10


def test_the_ggn_is_the_hessian_of_the_linearised_function_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = relu_problem(relu_data(0), torch.tensor([0.5, 1.0], dtype=torch.float64))
    row = hessian_row(problem, "here")
    assert row["from_linearised"] <= row["bound"] < row["from_hessian"]
    assert row["negative_eigenvalues"] == 1
    monkeypatch.setattr(nonlinear_hessian, "ggn", hessian)
    assert hessian_row(problem, "here")["from_linearised"] > 0.1


def test_the_linearised_hessian_of_a_network_with_class_labels() -> None:
    draws = generator("linearised", 0)
    inputs, labels = torch.randn(6, 2, generator=draws, dtype=torch.float64), torch.randint(3, (6,), generator=draws)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    problem = Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)])
    assert_close(linearised_hessian(problem), ggn(problem).dense(), "GGN", size=problem.num_parameters)


def test_live_starts_reach_the_valley_and_the_plateau_the_origin() -> None:
    record = field_record(relu_data(None))
    natural = [row for row in record["rows"] if row["method"] == "natural gradient"]
    assert [row["in_valley"] for row in natural] == [True, True, True, False]
    assert [row["on_plateau_at_first"] for row in natural] == [False, False, False, True]
    assert math.hypot(natural[3]["end_1"], natural[3]["end_2"]) < 1e-9
    assert natural[3]["bend"] < 1e-9
    assert all(row["bend"] > 0.01 for row in natural[:3])
    assert record["plateau_share"] == pytest.approx(3 / 15)
    assert record["valley"] == pytest.approx(4, abs=0.1)


def test_sampling_moves_the_mean_and_the_division_by_n_most_of_all() -> None:
    rows = relu_record(relu_data(0), relu_data(100), 0)["rows"]
    by = {(row["posterior"], row["predictive"], row["part"]): row for row in rows}
    sampled, linearised = (by["Bayes' rule", kind, "training"] for kind in ("sampled", "linearised"))
    # along the kernel the product of the parameters falls by half the square of the way: the prior's variance 1 / 10
    assert sampled["kernel_deviation"] == pytest.approx(10**-0.5, rel=1e-9)
    inputs = relu_data(0)[0]
    assert sampled["away_from_fit"] == pytest.approx(0.05 * float(inputs.square().mean().sqrt()), rel=0.15)
    assert linearised["away_from_fit"] == 0
    assert sampled["spread"] > 2 * linearised["spread"]
    assert by["as published", "sampled", "training"]["dead"] > 0.3
    assert by["as published", "sampled", "training"]["kernel_deviation"] == pytest.approx(10.0, rel=1e-9)


def test_scores_of_a_gaussian_are_those_of_its_samples_and_notice_a_wrong_variance() -> None:
    draws = generator("scores", 0)
    mean = torch.randn(400, generator=draws, dtype=torch.float64)
    functions = mean + 0.6 * torch.randn(4000, 400, generator=draws, dtype=torch.float64)
    targets = mean + torch.randn(400, generator=draws, dtype=torch.float64)
    exact = gaussian_scores(mean, torch.full_like(mean, 0.36), 0.64, targets)
    sampled = mixture_scores(functions, 0.64, targets)
    for name in exact:
        assert sampled[name] == pytest.approx(exact[name], abs=0.02)
    assert exact["coverage_50"] == pytest.approx(0.5, abs=0.12)  # 5 standard errors of 400 targets
    assert exact["coverage_95"] == pytest.approx(0.95, abs=0.05)
    tight = gaussian_scores(mean, torch.zeros_like(mean), 0.16, targets)  # a deviation for a variance
    assert tight["coverage_50"] < 0.38
    assert tight["nll"] > exact["nll"] + 0.1


def test_the_log_loss_of_the_fit_is_that_of_a_function_without_spread() -> None:
    mean, targets = torch.tensor([0.0, 1.0, 3.0]).double(), torch.tensor([1.0, -1.0, 2.5]).double()
    scores = gaussian_scores(mean, torch.zeros(3).double(), 0.5, targets)
    assert log_loss_of_fit({"rmse": scores["rmse"], "noise": 0.5}) == pytest.approx(scores["nll"], rel=1e-12)
    spread = gaussian_scores(mean, torch.ones(3).double(), 0.5, targets)
    assert log_loss_of_fit({"rmse": scores["rmse"], "noise": 0.5}) != pytest.approx(spread["nll"], rel=1e-2)


def test_the_nll_is_that_of_torch() -> None:
    mean, targets = torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, -1.0]).double()
    expected = nn.functional.gaussian_nll_loss(mean, targets, torch.tensor([1.5, 1.5]).double(), full=True)
    assert gaussian_scores(mean, torch.ones(2).double(), 0.5, targets)["nll"] == pytest.approx(float(expected), rel=1e-12)


def test_training_ends_where_the_log_posterior_is_stationary_and_the_evidence_sets_the_noise() -> None:
    draws = generator("training", 0)
    inputs = torch.linspace(-2, 2, 120, dtype=torch.float64)[:, None]
    targets = inputs.sin() + 0.3 * torch.randn(120, 1, generator=draws, dtype=torch.float64)
    found = train(network_problem(inputs, targets, 0), prior=1.0, noise=0.5, iterations=60, adapt=True)
    assert found.slope < 1e-3
    assert found.noise == pytest.approx(0.09, rel=0.5)  # 4 standard errors of 120 squares
    fixed = train(found.problem, found.prior, found.noise, 5, adapt=False)
    assert (fixed.prior, fixed.noise) == (found.prior, found.noise)


def hessian_figures(**changed: float) -> dict[str, Any]:
    return {"from_linearised": 1e-15, "bound": 1e-13, "from_hessian": 0.5} | changed


def test_verdict_on_the_linearised_hessian() -> None:
    assert linearised_verdict([hessian_figures()]) == "confirmed"
    assert linearised_verdict([hessian_figures(from_linearised=1e-3)]) == "refuted"
    assert linearised_verdict([hessian_figures(from_hessian=1e-14)]) == "refuted"
    assert linearised_verdict([]) == "refuted"


@pytest.mark.parametrize(
    ("sampled", "linearised", "verdict"),
    [
        ([0.4, 0.5], [0.001, 0.002], SAMPLED_ONLY),
        ([0.4], [0.3], "confirmed"),
        ([0.001], [0.001], "refuted"),
        ([], [], "refuted"),
    ],
)
def test_verdict_on_underfitting(sampled: list[float], linearised: list[float], verdict: str) -> None:
    assert underfit_verdict(sampled, linearised) == verdict


def test_verdict_on_the_sampled_mean() -> None:
    assert bias_verdict([0.1], [0.02]) == SAMPLED_ONLY
    assert bias_verdict([0.01], [0.02]) == bias_verdict([], []) == "refuted"


def path(**changed: Any) -> dict[str, Any]:
    return {"method": "natural gradient", "on_plateau_at_first": False, "in_valley": True, "bend": 0.0} | changed


def test_verdict_on_the_paths() -> None:
    plateau = path(on_plateau_at_first=True, in_valley=False)
    assert paths_verdict([path()]) == "confirmed"
    assert paths_verdict([path(), plateau]) == FROM_LIVE_STARTS
    assert paths_verdict([path(bend=0.03)]) == paths_verdict([path(bend=0.03), plateau]) == "refuted"
    assert paths_verdict([path(in_valley=False)]) == "refuted"
    assert paths_verdict([plateau]) == paths_verdict([]) == "refuted"


def test_cells_that_failed_take_their_claims_and_panels_with_them(tmp_path: Path) -> None:
    experiment = Nonlinear()
    field, relu = experiment.cells(Options(("nonlinear",), quick=True))[:2]
    for cell, numbers, panels in ((field, [5], 1), (relu, [1, 3, 4], 0)):
        results = [(cell, experiment.run(cell, "cpu"))]
        assert [entry.id for entry in experiment.entries("nonlinear", results)] == [f"NONLINEAR.{n}" for n in numbers]
        paths = experiment.artefacts("nonlinear", results, tmp_path)
        assert sum(path.suffix == ".png" for path in paths) == panels


def test_the_experiment_end_to_end(tmp_path: Path) -> None:
    outcome = reproduce(Options(("nonlinear",), quick=True, out=tmp_path), {"nonlinear": Nonlinear()}, "", lambda line: None)
    assert outcome.failures == []
    names = {file.name for file in (tmp_path / "nonlinear").iterdir()}
    assert {f"nonlinear_{part}" for part in ("results.csv", "summary.json", "figure.png", "figure.pdf")} <= names
    text = (tmp_path / "claims.md").read_text()
    assert [text.count(f"## NONLINEAR.{number} on") for number in range(1, 6)] == [1] * 5
