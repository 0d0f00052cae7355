import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, kfac
from fishergauge.reports.course import training_runs
from fishergauge.reports.course.training import Training
from fishergauge.reports.course.training_claims import at_edges, training_verdict, winners
from fishergauge.reports.course.training_runs import (
    METHODS,
    MODELS,
    RATES,
    SECOND,
    epochs_of,
    network,
    optimizer_of,
    parts,
    training_rows,
)
from fishergauge.reports.course.training_tables import TUNING_SEED, comparison, reached
from fishergauge.reports.options import Options
from fishergauge.reports.reproduce import reproduce


def run(method: str, seed: int, rate: float, losses: list[float], **changed: Any) -> list[dict[str, Any]]:
    """A run of one epoch a loss, ten steps each; training and validation loss are equal."""
    point = {"method": method, "seed": seed, "rate": rate, "second": 0.9}
    return [
        {**point, "epoch": n, "step": 10 * n, "failed": False, "training_loss": x, "validation_loss": x, **changed}
        for n, x in enumerate(losses, 1)
    ]


def by_validation(row: dict[str, Any], criterion: str) -> bool:
    return (row["criterion"], row["tuned_by"]) == (criterion, "validation_loss")


SECONDS = {"sgd": 1.0, "adam": 1.0, "kfac": 2.0}


def test_hyper_parameters_are_chosen_on_the_tuning_seed_and_reported_on_the_others() -> None:
    runs = run("sgd", TUNING_SEED, 0.1, [3.0, 1.0]) + run("sgd", TUNING_SEED, 1.0, [2.0, 2.0])
    runs += run("sgd", 1, 0.1, [9.0, 8.0]) + run("sgd", 1, 1.0, [0.1, 0.1])
    rows = [row for row in comparison(runs, SECONDS, 2) if by_validation(row, "equal epochs")]
    assert [(row["seed"], row["rate"], row["training_loss"]) for row in rows] == [(1, 0.1, 8.0)]
    early = [row for row in comparison(runs, SECONDS, 1) if by_validation(row, "equal epochs")]
    assert [(row["rate"], row["training_loss"]) for row in early] == [(1.0, 0.1)]  # the choice is that of the moment


def test_each_score_is_compared_where_it_was_tuned_for_it() -> None:
    runs = run("sgd", TUNING_SEED, 0.1, [1.0], validation_loss=3.0) + run("sgd", TUNING_SEED, 1.0, [2.0], validation_loss=2.0)
    runs += run("sgd", 1, 0.1, [1.5]) + run("sgd", 1, 1.0, [2.5])
    rates = {row["tuned_by"]: row["rate"] for row in comparison(runs, SECONDS, 1)}
    assert rates == {"training_loss": 0.1, "validation_loss": 1.0}


def test_at_equal_time_the_faster_method_makes_more_steps() -> None:
    runs = [r for seed in (0, 1) for r in run("sgd", seed, 0.1, [4.0, 3.0, 2.0, 1.0]) + run("kfac", seed, 0.1, [3.0, 2.5])]
    rows = {row["method"]: row for row in comparison(runs, SECONDS, 2) if by_validation(row, "equal time")}
    assert rows["kfac"]["limit"] == rows["sgd"]["limit"] == 40.0
    assert (rows["sgd"]["epoch"], rows["kfac"]["epoch"]) == (4, 2)
    rows = {row["method"]: row for row in comparison(runs, {**SECONDS, "kfac": 1.0}, 2) if by_validation(row, "equal time")}
    assert (rows["sgd"]["epoch"], rows["kfac"]["epoch"]) == (2, 2)


def test_a_run_that_fails_is_not_chosen_and_is_reported() -> None:
    failed = run("sgd", 0, 1.0, [0.5]) + run("sgd", 0, 1.0, [math.nan], failed=True, epoch=2, step=20)
    runs = failed + run("sgd", 0, 0.1, [2.0, 1.9]) + run("sgd", 1, 0.1, [2.0]) + run("sgd", 1, 0.1, [9.9], failed=True, epoch=2)
    (row,) = [row for row in comparison(runs, SECONDS, 2) if by_validation(row, "equal epochs")]
    assert (row["rate"], row["diverged"]) == (0.1, True)
    assert "training_loss" not in row
    assert reached(run("sgd", 0, 0.1, [1.0]), 0.5, "epoch") is None


def compared(model: str, **losses: float) -> list[dict[str, Any]]:
    return [{"model": model, "method": m, "seed": 1, "diverged": math.isinf(x), "training_loss": x} for m, x in losses.items()]


def test_a_rate_at_the_edge_of_the_grid_is_said() -> None:
    runs = [
        r for rate, loss in ((0.1, 3.0), (1.0, 1.0), (10.0, 2.0)) for seed in (0, 1) for r in run("sgd", seed, rate, [loss])
    ]
    rows = comparison(runs, SECONDS, 1)
    assert [(row["rate"], row["edge"]) for row in rows] == [(1.0, False)] * len(rows)
    without = [row for row in runs if row["rate"] < 10]
    (first, *_) = comparison(without, SECONDS, 1)
    assert (first["rate"], first["edge"]) == (1.0, True)
    assert at_edges([{**first, "model": "mlp"}] * 2) == " Best at the edge of the grid of rates: SGD with momentum (mlp)."
    assert at_edges([{**row, "model": "mlp"} for row in rows]) == ""


def test_verdicts_on_training() -> None:
    ahead, behind = compared("mlp", sgd=2.0, adam=1.0, kfac=0.5), compared("cnn", sgd=2.0, adam=1.0, kfac=1.5)
    assert winners(ahead + behind, "training_loss") == {"mlp": True, "cnn": False}
    assert training_verdict({"mlp": True}, 3) == "confirmed"
    assert training_verdict({"mlp": True, "cnn": False}, 3) == "confirmed only if the network is the mlp"
    assert training_verdict({"mlp": False}, 3) == training_verdict({}, 3) == "refuted"
    assert training_verdict({"mlp": True}, 2) == training_verdict({"mlp": False}, 1) == "not testable as published"
    close = compared("mlp", sgd=2.0, adam=1.0, kfac=0.5) + compared("mlp", sgd=2.0, adam=0.4, kfac=0.3)
    assert winners(close, "training_loss") == {"mlp": False}  # ahead by the medians, but not apart
    assert winners(compared("mlp", sgd=2.0, adam=1.0, kfac=math.inf), "training_loss") == {"mlp": False}
    assert winners(compared("mlp", sgd=math.inf, adam=math.inf, kfac=1.0), "training_loss") == {"mlp": True}


@pytest.mark.parametrize("model", MODELS)
def test_every_method_has_a_grid_of_the_same_size_and_trains(model: str) -> None:
    assert len({len(SECOND[method]) for method in METHODS}) == 1
    assert {0.01, 0.1} <= set(RATES)
    before = torch.get_rng_state()
    for method in METHODS:
        rows = training_rows(model, method, 0.1, SECOND[method][0], 1, 1)
        assert rows[-1]["epoch"] == epochs_of(model, method, 1)
        assert rows[-1]["training_loss"] < rows[0]["training_loss"] / 1.25
        assert rows[-1]["step"] == 8 * rows[-1]["epoch"]
        again = training_rows(model, method, 0.1, SECOND[method][0], 1, 1)
        assert again == rows
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rate_that_is_far_too_large_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_runs, "FINITE", 5.0)
    rows = training_rows("mlp", "sgd", 100.0, 0.99, 0, 2)
    assert rows[-1]["failed"]
    assert len(rows) < 10


@pytest.mark.parametrize("model", MODELS)
def test_the_optimiser_of_the_experiment_uses_the_factors_of_the_reference(model: str) -> None:
    net, loss = network(model, 0).double(), nn.CrossEntropyLoss()
    inputs, labels = (tensor[:32] for tensor in parts(model)["training"])
    problem = Problem(net, loss, [(inputs.double(), labels)])
    exact = kfac(problem)
    optimizer = optimizer_of("kfac", net, loss, 0.1, 0.1, 0)
    loss(net(inputs.double()), labels).backward()
    optimizer.step()
    found = {name: block.input_factor for name, block in optimizer.factors.items()}  # type: ignore[attr-defined]
    for name, block in exact.factors.items():
        torch.testing.assert_close(found[name], block.input_factor)
    optimizer.close()  # type: ignore[attr-defined]


def test_cells_that_failed_take_their_claims_and_panels_with_them(tmp_path: Path) -> None:
    experiment = Training()
    timed, *others = experiment.cells(Options(("training",), quick=True))
    runs = [(cell, {"rows": [], "epochs": 4}) for cell in others]
    for results in ([(timed, experiment.run(timed, "cpu"))], runs, []):
        assert experiment.entries("training", results) == []
        assert not any(path.suffix == ".png" for path in experiment.artefacts("training", results, tmp_path))


def test_the_experiment_end_to_end(tmp_path: Path) -> None:
    outcome = reproduce(Options(("training",), quick=True, out=tmp_path), {"training": Training()}, "", lambda line: None)
    assert outcome.failures == []
    names = {file.name for file in (tmp_path / "training").iterdir()}
    wanted = {f"training_{part}" for part in ("results.csv", "compared.csv", "summary.json", "figure.png", "figure.pdf")}
    assert wanted <= names
    text = (tmp_path / "claims.md").read_text()
    assert [text.count(f"## TRAINING.{number} on digits") for number in (1, 2, 3)] == [1, 1, 1]
