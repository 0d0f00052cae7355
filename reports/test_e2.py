from dataclasses import replace

import pandas as pd
import pytest
import torch

from fishergauge.reference.pseudo_inverse import solve_psd
from fishergauge.reference.softmax_regression import softmax_regression_fisher
from fishergauge.reports import e2_ledger
from fishergauge.reports.cuda_draws import cuda_data
from fishergauge.reports.data import load
from fishergauge.reports.e2 import E2
from fishergauge.reports.e2_corrected import matched_training
from fishergauge.reports.e2_published import controlled_training, reported_divergence
from fishergauge.reports.e2_tables import Runs, crossing, student
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.lanes import NaturalGradients
from fishergauge.reports.notebook_e1 import kl_reported
from fishergauge.reports.options import Options
from fishergauge.reports.published_test_set import compare_test_sets

PUBLISHED = (  # method, epsilon, final loss, accuracy, mean and s.d. of the KL ratio, corrections: seed 0 of the paper's table
    ("sgd", 1e-4, 0.8190990352011601, 0.069, 1.0240643148168886, 0.07984082584303852, 0.49),
    ("natgrad", 1e-4, 0.8205314589250178, 0.069, 1.0234198313673102, 0.07808154440183325, 0.52),
)


def test_published_table_is_met_with_the_published_draws() -> None:
    rows = controlled_training(cuda_data(), initial_parameters(0, 16, 10), (1e-4,), 100)["rows"]
    columns = ("final_loss", "final_accuracy", "mean_kl_ratio", "std_kl_ratio", "mean_corrections")
    for row, (method, epsilon, *figures) in zip(rows, PUBLISHED, strict=True):
        assert (row["method"], row["epsilon"]) == (method, epsilon)
        assert [row[name] for name in columns] == pytest.approx(figures, rel=1e-8, abs=0)
        assert row["final_accuracy_fair"] > 0.7


def test_uncorrected_steps_would_fail_gate_b(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = initial_parameters(0, 16, 10)
    assert all(row["gate_b_fraction"] == 1 for row in controlled_training(load("synthetic"), weight, (1e-3,), 15)["rows"])
    monkeypatch.setattr("fishergauge.reports.e2_published.CORRECTIONS", 0)
    assert any(row["gate_b_fraction"] < 1 for row in controlled_training(load("synthetic"), weight, (1e-3,), 15)["rows"])


def test_chunked_divergence_is_the_notebooks() -> None:
    data = load("wine")
    weight = torch.stack([initial_parameters(seed, 13, 3) for seed in (0, 1)])
    direction, lengths = weight.flip(0), torch.tensor([0.1, 0.5], dtype=torch.float64)
    values = reported_divergence(
        data.inputs, torch.matmul(data.inputs, weight.mT).softmax(-1).transpose(0, 1), direction, lengths
    )
    for i in range(2):
        after = weight[i] - lengths[i] * direction[i]
        assert float(values[i]) == pytest.approx(
            kl_reported(data.inputs @ weight[i].T, data.inputs @ after.T), rel=1e-12, abs=0
        )


def test_natural_gradients_are_those_of_the_current_fisher() -> None:
    data = load("wine")
    natural = NaturalGradients(data.inputs)
    generator = torch.Generator().manual_seed(3)
    for scale in (1.0, 1.2, 3.0):  # the inverse at the first point preconditions the others
        weights = torch.stack([initial_parameters(seed, 13, 3) * scale for seed in (0, 1)])
        logits = torch.matmul(data.inputs, weights.mT)
        gradients = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
        gradients -= gradients.mean(1, keepdim=True)  # in the range
        steps = natural(logits, gradients)
        for z, g, step in zip(logits, gradients, steps, strict=True):
            exact = solve_psd(softmax_regression_fisher(data.inputs, z), g.reshape(-1)).view_as(step)
            assert torch.allclose(step, exact, rtol=1e-5, atol=1e-7 * float(exact.abs().max()))
        if scale == 1.2:  # here the inverse is a stale one
            assert natural.inverses is not None
            stale = natural.inverses[0] @ gradients[0].reshape(-1)
            assert not torch.allclose(stale.view_as(steps[0]), steps[0], rtol=1e-3)


def test_matched_training_spends_exactly_the_budget() -> None:
    data = load("wine")
    record = matched_training(data, initial_parameters(0, 13, 3), (1e-3,), 12)
    assert record["kl_error"] < 1e-10
    rows = pd.DataFrame(record["rows"])
    assert rows.groupby("method")["budget"].max().tolist() == pytest.approx([0.012, 0.012])
    losses = rows.pivot_table(index="step", columns="method", values="loss")
    assert (losses.diff().dropna() < 0).all().all()


def test_training_stops_where_separable_data_are_solved() -> None:
    rows = pd.DataFrame(matched_training(load("wine"), initial_parameters(0, 13, 3), (1e-2,), 100)["rows"])
    losses = rows.pivot_table(index="step", columns="method", values="loss")
    assert losses.index.max() < 100
    assert losses.iloc[-1].min() < 0.01 * losses.iloc[0].min() <= losses.iloc[-2].min()


def test_published_test_set_has_other_class_centres() -> None:
    data = load("synthetic")
    weight = initial_parameters(0, 16, 10)
    centres = torch.stack([data.inputs[data.targets == label].mean(0) for label in range(10)])
    figures = compare_test_sets(data, centres)
    assert figures["published"] < 0.15 < 0.7 < figures["fair"]
    assert figures["published"] <= figures["best_matching"] < figures["other_centres"]
    assert e2_ledger.judge_test_set(pd.DataFrame([figures])).verdict == "refuted"
    repaired = replace(data, published_test=(data.test_inputs, data.test_targets))
    figures = compare_test_sets(repaired, centres, (42, 42))
    assert figures["matched_cosine"] == pytest.approx(1)
    assert e2_ledger.judge_test_set(pd.DataFrame([figures])).verdict == "confirmed"
    with pytest.raises(ValueError, match="no published test set"):
        compare_test_sets(load("wine"), weight)


def test_verdicts_follow_the_figures() -> None:
    runs = pd.DataFrame(
        {"method": ["sgd", "sgd"], "epsilon": [1e-4, 1e-3], "seed": 0, "gate_b_fraction": 1.0, "mean_kl_ratio": [1.001, 1.002]}
    )
    assert e2_ledger.judge_gate_b(runs, 100).verdict == "confirmed"
    assert e2_ledger.judge_gate_b(runs.assign(gate_b_fraction=[1.0, 0.9]), 100).verdict == "confirmed only if epsilon <= 0.0001"
    assert e2_ledger.judge_gate_b(runs.assign(gate_b_fraction=0.9), 100).verdict == "refuted"
    assert e2_ledger.judge_gate_b(runs.assign(mean_kl_ratio=1.1), 100).verdict == "refuted"
    assert e2_ledger.judge_test_set(pd.DataFrame()).verdict == "not testable as published"
    table = pd.DataFrame(
        {
            "epsilon": [1e-4, 1e-4],
            "steps": [10, 100],
            "loss_sgd": 1.0,
            "gain_mean": 0.1,
            "gain_std": 0.01,
            "t": [9.0, 5.0],
            "seeds": 5,
        }
    )
    ratios = pd.DataFrame({"ratio": [0.9, 0.91]})
    assert e2_ledger.judge_budgets(table, ratios).verdict == "confirmed"
    assert e2_ledger.judge_budgets(table.assign(t=[9.0, 0.1]), ratios).verdict == (
        "confirmed only if (epsilon, steps) is one of (0.0001, 10)"
    )
    assert e2_ledger.judge_budgets(table.assign(t=-9.0), ratios).verdict == "refuted"
    assert e2_ledger.judge_budgets(table.assign(t=3.0, seeds=2), ratios).verdict == "refuted"  # two seeds need t > 12.7


def test_statistics_of_pairs_and_crossings() -> None:
    assert student(pd.Series([1.0, 2.0, 3.0]).to_numpy()) == pytest.approx(12**0.5)
    assert student(pd.Series([1.0]).to_numpy()) != student(pd.Series([1.0]).to_numpy())
    losses = pd.Series([4.0, 2.0, 1.0]).to_numpy()
    assert crossing(losses, 1.5) == pytest.approx(1.5)
    assert crossing(losses, 0.5) != crossing(losses, 0.5)


def test_entries_and_artefacts_of_a_quick_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    experiment, out = E2(), tmp_path_factory.mktemp("out")
    results = [(cell, experiment.run(cell, "cpu")) for cell in experiment.cells(Options(data=("wine",), quick=True))]
    names = {path.name for path in experiment.artefacts("wine", results, out)}
    assert {"E2_results_summary.csv", "E2_metadata.json", "E2_figure.png", "E2_figure.pdf"} <= names
    assert all((out / name).stat().st_size for name in names)
    assert [entry.id for entry in experiment.entries("wine", results)] == ["E2.1", "E2.2", "E2.3"]
    assert Runs.of(results[:1]) is None
