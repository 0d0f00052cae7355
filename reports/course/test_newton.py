from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import empirical_fisher, fisher, ggn, gradient, hessian, natural_gradient_step, objective
from fishergauge.reference.bernoulli import Bernoulli
from fishergauge.reference.categorical import Categorical
from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course import newton_training
from fishergauge.reports.course.expected_hessian import expected_hessian, observed_hessian
from fishergauge.reports.course.newton import Newton
from fishergauge.reports.course.newton_claims import (
    CONVEX_ONLY,
    FROM_THE_MODEL,
    NO_RESIDUALS,
    equality_verdict,
    linear_verdict,
    network_verdict,
    newton_entries,
    training_verdict,
)
from fishergauge.reports.course.newton_interpolation import interpolation_rows
from fishergauge.reports.course.newton_measurements import DAMPING, LENGTHS, adam_path, angle, checkpoint_row
from fishergauge.reports.course.newton_problems import MODELS, newton_problem, principal_components, small_network
from fishergauge.reports.course.newton_training import convex_rows, natural_descent, network_rows, newton_root, saturation
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.zoo import zoo_problem

ZOO = ("mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-sigmoid-binary", "multilabel-regression")


@pytest.fixture(scope="module")
def results() -> list[tuple[Cell, Record]]:
    settings: list[dict[str, str]] = [{"study": "convex"}, {"study": "interpolation"}, {"study": "network"}]
    for model in MODELS:
        settings.append({"study": "run", "model": model, "checkpoints": "0,200" if model == "regression" else "0,100"})
    cells = [Cell("newton", "corrected", "newton", 0, tuple(setting.items())) for setting in settings]
    return [(cell, Newton().run(cell, "cpu")) for cell in cells]


def rows_of(results: list[tuple[Cell, Record]], study: str, **where: Any) -> list[dict[str, Any]]:
    rows = [dict(row) for _, record in results for row in record["rows"] if row["study"] == study]
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


@pytest.mark.parametrize("name", ZOO)
def test_the_expected_hessian_is_the_fisher(name: str) -> None:
    problem = zoo_problem(name)
    information = fisher(problem).dense()
    assert_close(expected_hessian(problem), information, "E[H] = F")
    assert_close(observed_hessian(problem), hessian(problem).dense(), "double backward = GGN + residual part")
    with pytest.raises(ClaimViolated):
        assert_close(expected_hessian(problem) * problem.num_samples, information, "without the divisor")


@pytest.mark.parametrize(("name", "kind"), [("mlp-tanh-softmax", Categorical), ("mlp-sigmoid-binary", Bernoulli)])
def test_labels_of_another_distribution_do_not_give_the_fisher(name: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = zoo_problem(name)
    information = fisher(problem, kind=2).dense()
    right = kind.enumerate

    def uniform(self: Any, outputs: Tensor) -> tuple[Tensor, Tensor]:
        weights, labels = right(self, outputs)
        return torch.full_like(weights, 1 / len(weights)), labels

    monkeypatch.setattr(kind, "enumerate", uniform)
    assert_apart(expected_hessian(problem), information, "labels at random")


def test_the_observed_hessian_of_a_network_is_not_the_fisher() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    with pytest.raises(ClaimViolated):
        assert_close(observed_hessian(problem), fisher(problem).dense(), "H = F")


@pytest.mark.parametrize("model", ["logistic", "regression"])
def test_adam_is_that_of_torch(model: str) -> None:
    problem = newton_problem(model, 0)
    here = problem.at(problem.vector)
    optimizer = torch.optim.Adam(here.model.parameters(), lr=0.05)
    for _ in range(7):
        optimizer.zero_grad()
        here.loss(here.model(here.inputs), here.targets).backward()
        optimizer.step()
    start, end = adam_path(problem, (0, 7), 0.05)
    assert torch.equal(start.vector, problem.vector)
    assert_close(end.vector, here.vector, "seven steps", condition=100)  # 1 / sqrt(v) of small gradients
    with pytest.raises(ClaimViolated):
        assert_close(adam_path(problem, (7,), 0.051)[0].vector, here.vector, "another rate", condition=100)
    with pytest.raises(ClaimViolated):
        assert_close(adam_path(problem, (6,), 0.05)[0].vector, here.vector, "six steps", condition=100)


def test_angles() -> None:
    x, y = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert angle(x, y) == pytest.approx(90)
    assert angle(x, -3 * x) == pytest.approx(180)
    assert angle(x, x + 0.1 * y) == pytest.approx(11.309932474)
    assert angle(x, x + 1e-12 * y) == pytest.approx(2e-12 * 57.29577951, rel=1e-3)


def test_principal_components_are_uncorrelated_and_of_unit_variance() -> None:
    draws = torch.randn(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    draws[:, 2] *= 10
    found = principal_components(draws, 3)
    assert_close(torch.cov(found.T), torch.eye(3).double(), "covariance", size=50)
    assert abs(float(torch.corrcoef(torch.stack([found[:, 0], draws[:, 2]]))[0, 1])) > 0.99


def test_a_checkpoint_has_the_residual_part_and_the_signs() -> None:
    problem = newton_problem("regression", 0)
    row = checkpoint_row(problem)
    curvature, information = observed_hessian(problem), fisher(problem).dense()
    assert row["gap"] == pytest.approx(float((curvature - information).norm() / curvature.norm()))
    assert row["residual_part"] == pytest.approx(row["gap"])
    assert row["unexplained"] < row["bound"] < 1e-6 < row["gap"]
    assert row["negative"] == int((torch.linalg.eigvalsh(curvature) < 0).sum()) > 0
    assert 0 < row["decrease_natural"] < row["loss"]
    damping = DAMPING * float(information.trace()) / len(information)
    step = natural_gradient_step(information, gradient(problem), damping=damping)
    losses = [float(objective(problem.at(problem.vector + length * step))) for length in LENGTHS]
    assert row["decrease_natural"] == pytest.approx(row["loss"] - min(losses), rel=1e-9)
    assert row["decrease_natural_full"] == pytest.approx(row["loss"] - losses[LENGTHS.index(1.0)], rel=1e-9)
    assert row["accuracy"] is None


def test_the_gap_is_proportional_to_the_residuals_and_zero_without() -> None:
    rows = interpolation_rows((0.0, 0.01, 0.1), 0)
    assert rows[0]["gap"] <= rows[0]["bound"] < 1e-6 < rows[1]["gap"]
    assert rows[0]["residual"] == rows[0]["gradient"] == 0
    assert rows[2]["gap"] / rows[1]["gap"] == pytest.approx(10, rel=1e-9)
    assert rows[2]["residual"] == pytest.approx(0.1, rel=0.3)


def test_both_methods_take_the_same_steps_on_convex_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    run = [{"gap": 0.0, "bound": 1e-12}]
    rows = convex_rows()
    assert linear_verdict(run, rows) == "confirmed"
    assert all(3 < row["newton_iterations"] == row["natural_iterations"] for row in rows)
    monkeypatch.setattr(newton_training, "fisher", empirical_fisher)
    monkeypatch.setattr(newton_training, "CONVEX", ("logistic",))
    assert linear_verdict(run, convex_rows(longest=12)) == "refuted"


def test_newton_finds_a_stationary_point_and_the_natural_gradient_descends() -> None:
    start = small_network(0)
    root, descent = newton_root(start), natural_descent(start)
    slopes = [float(gradient(problem).norm()) for problem in root]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[-1] < 1e-6 < slopes[0]
    losses = [float(objective(problem)) for problem in descent]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.2
    assert [float(objective(problem)) for problem in root] != sorted((float(objective(p)) for p in root), reverse=True)


def test_saturation_is_that_of_the_least_saturated_unit() -> None:
    start = small_network(0)
    first = start.model.get_submodule("0")
    values = first(start.inputs).detach().tanh().abs().median(0).values
    assert saturation(start) == pytest.approx(float(values.min()))
    assert saturation(start) < float(values.max()) - 0.01
    assert saturation(start.at(1e6 * start.vector)) > 0.999


def test_a_natural_gradient_uphill_does_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    right = natural_gradient_step
    monkeypatch.setattr(newton_training, "natural_gradient_step", lambda *args, **kwargs: -right(*args, **kwargs))
    monkeypatch.setattr(newton_training, "LONGEST", 3)
    assert training_verdict(network_rows([0])) == "refuted"


def test_verdicts_flip_with_their_figures(results: list[tuple[Cell, Record]]) -> None:
    run, network = rows_of(results, "run"), rows_of(results, "network")
    assert equality_verdict(run) == FROM_THE_MODEL
    assert equality_verdict([row for row in run if row["model"] == "logistic"]) == "confirmed"
    assert equality_verdict([{**row, "expected_gap": 1e-3} for row in run]) == equality_verdict([]) == "refuted"
    linear, paths = rows_of(results, "run", model="softmax"), rows_of(results, "convex", data="digits")
    assert linear_verdict(linear, paths) == "confirmed"
    assert linear_verdict([{**row, "gap": 1e-3} for row in linear], paths) == "refuted"
    for key, value in (("deviation", 1e-3), ("natural_iterations", 99), ("converged", False)):
        assert linear_verdict(linear, [{**row, key: value} for row in paths]) == "refuted"
    noise, own = rows_of(results, "interpolation"), rows_of(results, "run", model="regression")
    assert network_verdict(own, noise) == NO_RESIDUALS
    assert network_verdict([{**row, "unexplained": 1e-3} for row in own], noise) == "refuted"
    assert network_verdict([{**row, "gap": 0.5} for row in own], noise) == "refuted"
    assert network_verdict(own, [{**row, "gap": 0.5} for row in noise]) == "refuted"
    assert network_verdict([{**row, "gap": 0.0} for row in own], noise) == "confirmed"
    assert training_verdict(network) == CONVEX_ONLY
    assert training_verdict([{**row, "loss": 0.1, "negative": 0} for row in network]) == "confirmed"
    assert training_verdict([{**row, "loss": 0.1} for row in network]) == CONVEX_ONLY  # where Newton's H is indefinite
    above = [{**row, "negative": 0, "loss": 0.3 if row["method"] == "newton" else 0.1} for row in network]
    assert training_verdict(above) == CONVEX_ONLY
    assert training_verdict([{**row, "loss": 9.0} for row in network]) == "refuted"
    assert training_verdict([]) == training_verdict(network[:1]) == "refuted"


def test_entries_and_artefacts(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    verdicts = {(entry.id, entry.data): entry.verdict for entry in newton_entries(results)}
    assert verdicts == {
        ("NEWTON.1", "all models"): FROM_THE_MODEL,
        ("NEWTON.2", "breast-cancer"): "confirmed",
        ("NEWTON.2", "digits"): "confirmed",
        ("NEWTON.3", "digits, network"): NO_RESIDUALS,
        ("NEWTON.3", "teacher, network"): NO_RESIDUALS,
        ("NEWTON.4", "breast-cancer, network"): CONVEX_ONLY,
    }
    assert newton_entries([]) == []
    assert [entry.id for entry in newton_entries(results[2:3])] == ["NEWTON.4"]
    paths = Newton().artefacts("newton", results, tmp_path)
    assert all(path.stat().st_size > 100 for path in paths)
    assert [path.suffix for path in paths] == [".csv", ".json", ".png", ".pdf", ".svg"]


@pytest.mark.parametrize(("study", "figures"), [("interpolation", 0), ("logistic", 3), ("network", 3)])
def test_what_is_missing_is_not_drawn(study: str, figures: int, results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    part = [(cell, record) for cell, record in results if study in dict(cell.settings).values()]
    assert len(Newton().artefacts("newton", part, tmp_path)) == 2 + figures


def test_cells_follow_the_options() -> None:
    full, quick = (Newton().cells(Options(("newton",), quick=quick)) for quick in (False, True))
    assert len(full) == 18
    assert len(quick) == 8
    assert {cell.data for cell in full} == {"newton"}
    assert {dict(cell.settings).get("model") for cell in quick} >= set(MODELS)


def test_the_ggn_alone_is_not_the_observed_hessian() -> None:
    problem = newton_problem("regression", 0)
    assert_apart(ggn(problem).dense(), observed_hessian(problem), "the residual part")
