import itertools

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fishergauge.reference.pseudo_inverse import solve_psd
from fishergauge.reference.softmax_regression import softmax_regression_fisher
from fishergauge.reference.stable_exponential import categorical_kl
from fishergauge.reports import e1_ledger, notebook_e1
from fishergauge.reports.cell import Cell
from fishergauge.reports.cuda_draws import cuda_data, cuda_normal, philox
from fishergauge.reports.data import load
from fishergauge.reports.e1 import E1
from fishergauge.reports.e1_corrected import matched_e1
from fishergauge.reports.e1_published import fast_e1, gate_row
from fishergauge.reports.e1_tables import EPSILONS, Tables
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.natural_gradient import both_directions, natural_gradient
from fishergauge.reports.options import Options
from fishergauge.reports.ray import Rays
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.gates import gate_a

FIGURES = ("loss_before", "loss_after", "delta_loss", "kl_step", "kl_ratio", "eta", "cos_g_v")
Problem = tuple[Tensor, Tensor, Tensor]


def small(dependent: bool = False, classes: int = 3) -> Problem:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(150, 4, dtype=torch.float64, generator=generator)
    if dependent:
        inputs[:, 3] = inputs[:, 0] - inputs[:, 1]
    targets = torch.randint(classes, (150,), generator=generator)
    return inputs, targets, torch.randn(classes, 4, dtype=torch.float64, generator=generator) / 2


def deviation(problem: Problem, epsilons: tuple[float, ...] = EPSILONS) -> float:
    slow, fast = (run(*problem, epsilons)["rows"] for run in (notebook_e1.notebook_e1, fast_e1))
    pairs = [(a[name], b[name]) for a, b in zip(slow, fast, strict=True) for name in FIGURES if name in a]
    return float(max(abs(b / a - 1) for a, b in pairs))


@pytest.mark.parametrize("problem", [small(), small(dependent=True), small(classes=2)], ids=["full", "dependent", "binary"])
def test_fast_path_gives_the_notebooks_figures(problem: Problem) -> None:
    assert deviation(problem) < 1e-9


def test_fast_path_gives_the_notebooks_figures_at_full_size_in_a_fifth_of_the_memory() -> None:
    data = load("synthetic")
    problem = (data.inputs, data.targets, initial_parameters(0, 16, 10))
    assert deviation(problem, EPSILONS[::4]) < 1e-9
    fast = peak_bytes(lambda: fast_e1(*problem, EPSILONS))
    one_step = peak_bytes(lambda: notebook_e1._step(_model(problem), *problem[:2], 1e-3, torch.eye(160).double(), True))
    assert fast <= one_step / 5


def test_comparison_notices_another_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_e1, "CUTOFF", 0.2)
    assert deviation(small()) > 1e-3


def _model(problem: Problem) -> torch.nn.Module:
    model = torch.nn.Linear(problem[0].shape[1], len(problem[2]), bias=False, dtype=torch.float64)
    notebook_e1.set_parameters_flat(model, problem[2].reshape(-1))
    return model


def test_reported_kl_is_the_constant_of_the_guards_whatever_the_step() -> None:
    rows = fast_e1(*small(), EPSILONS)["rows"]
    assert all(abs(row["kl_step"] / 2e-10 - 1) < 1e-5 for row in rows)  # C - 1 = 2
    assert max(row["true_kl"] for row in rows) > 1e4 * min(row["true_kl"] for row in rows) * 0.5


def test_logits_from_before_the_step_repair_the_reported_kl() -> None:
    inputs, targets, weight = small()
    rows = fast_e1(inputs, targets, weight, EPSILONS)["rows"]
    directions, _ = both_directions(inputs, targets, weight)
    for row, direction in zip(rows, itertools.cycle(directions), strict=False):
        before, after = inputs @ weight.T, inputs @ (weight - row["eta"] * direction.view_as(weight)).T
        assert notebook_e1.kl_reported(before, after) - 2e-10 == pytest.approx(row["true_kl"], rel=1e-6, abs=0)
        assert notebook_e1.kl_reported(after, after) == pytest.approx(2e-10, rel=1e-5, abs=0)
        assert float(categorical_kl(before, after).mean()) == pytest.approx(row["true_kl"], rel=1e-9, abs=0)


def test_gate_row_agrees_with_gate_a_and_fails_where_it_should() -> None:
    for low in (-2e-7, -5e-8, -1e-9, 0.5):
        matrix = torch.diag(torch.tensor([low, 1.0], dtype=torch.float64))
        row = gate_row(torch.linalg.eigvalsh(matrix))
        assert row["gate_a_passed"] == gate_a(matrix, 1e-7).passed == (low >= -1e-7)
        assert row["gate_a_passed_1e-8"] == gate_a(matrix, 1e-8).passed == (low >= -1e-8)


@pytest.mark.parametrize("dependent", [False, True])
def test_natural_gradient_is_that_of_the_pseudo_inverse(dependent: bool) -> None:
    inputs, targets, weight = small(dependent)
    (gradient, natural), fisher = both_directions(inputs, targets, weight)
    assert torch.allclose(natural, solve_psd(fisher, gradient), rtol=1e-8, atol=1e-12)
    planted = natural_gradient(fisher + 1e-2 * torch.eye(len(fisher)), gradient, 3)
    assert not torch.allclose(planted, natural, rtol=1e-4)


def test_rays_measure_the_divergence_and_its_derivative() -> None:
    inputs, targets, weight = small()
    directions, fisher = both_directions(inputs, targets, weight)
    logits, changes = inputs @ weight.T, inputs @ directions.view(2, 3, 4).mT
    rays = Rays(logits, changes)
    for scale in (1e-6, 1e-2, 1.0, 400.0, 4e4):
        lengths = torch.tensor([scale, scale / 3], dtype=torch.float64)
        values, slopes = rays.divergence(lengths)
        expected = categorical_kl(logits, logits - lengths[:, None, None] * changes).mean(-1)
        assert torch.allclose(values, expected, rtol=1e-10)
        shifted = rays.divergence(lengths * (1 + 1e-6))[0] - rays.divergence(lengths * (1 - 1e-6))[0]
        assert torch.allclose(slopes, shifted / (2e-6 * lengths), rtol=1e-4)
    assert torch.allclose(rays.moment(2), ((directions @ fisher) * directions).sum(-1), rtol=1e-12)


def test_matched_lengths_hit_the_divergence_also_by_bracketing(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets, weight = small()
    directions, _ = both_directions(inputs, targets, weight)
    logits, changes = inputs @ weight.T, inputs @ directions.view(2, 3, 4).mT
    goals = torch.tensor([1e-12, 0.5], dtype=torch.float64)
    newton = Rays(logits, changes).matched_length(goals)
    monkeypatch.setattr("fishergauge.reports.ray.ITERATIONS", 0)
    bracketed = Rays(logits, changes).matched_length(goals)
    for lengths in (newton, bracketed):
        kl = categorical_kl(logits, logits - lengths[:, None, None] * changes).mean(-1)
        assert torch.allclose(kl, goals, rtol=1e-10, atol=0)
    unmatched = Rays(logits, changes).quadratic_length(goals)
    assert not torch.allclose(unmatched, newton, rtol=1e-3)


def tables(seeds: int = 3, corrupt: float = 0.0) -> Tables:
    experiment = E1()
    cells = [cell for cell in experiment.cells(Options(data=("wine",), seeds=seeds)) if cell.protocol != "baseline"]
    results = [(cell, experiment.run(cell, "cpu")) for cell in cells]
    for _, record in results:
        if "limit" in record:
            record["limit"] += corrupt
    collected = Tables.of(results)
    assert collected is not None
    return collected


def test_advantage_approaches_the_closed_form_limit_like_the_square_root() -> None:
    judged, figures = e1_ledger.judge_limit((right := tables()).corrected, right.limits)
    assert judged.verdict == "confirmed"
    assert figures["exponent_median"] == pytest.approx(0.5, abs=0.01)
    wrong = tables(corrupt=1e-5)  # a wrong formula for the limit
    judged, figures = e1_ledger.judge_limit(wrong.corrected, wrong.limits)
    assert judged.verdict == "refuted"


def test_loss_reduction_obeys_the_exact_identity() -> None:
    inputs, targets, weight = small()
    directions, _ = both_directions(inputs, targets, weight)
    for row in matched_e1(inputs, targets, weight, (1e-6, 1e-2))["rows"]:
        for method, direction in zip(("sgd", "natgrad"), directions, strict=True):
            exact = row[f"eta_{method}"] * float(directions[0] @ direction) - row["epsilon"]
            assert row[f"delta_loss_{method}"] == pytest.approx(exact, rel=1e-8, abs=0)
            assert abs(row[f"kl_error_{method}"]) < 1e-10


def test_verdicts_follow_the_figures() -> None:
    assert e1_ledger.up_to((1, 2, 3), (False, True, True)) == "refuted"
    assert e1_ledger.up_to((1, 2, 3), (True, True, True)) == "confirmed"
    flat = np.array([2.0, 2.0, 2.05])
    assert e1_ledger.judge_consistent((1e-5, 1e-3, 1e-1), flat).verdict == "confirmed"
    assert e1_ledger.judge_consistent((1e-5, 1e-3, 1e-1), flat - [0, 0, 1]).verdict == "confirmed only if epsilon <= 0.001"
    assert e1_ledger.judge_consistent((1e-5, 1e-3, 1e-1), -flat).verdict == "refuted"
    better = pd.DataFrame({"mean": [2.0, 1.0], "std": [0.5, 0.5], "count": [10, 10]}, index=[1e-5, 1e-1])
    assert e1_ledger.judge_better(better).verdict == "confirmed"
    assert e1_ledger.judge_better(better.assign(std=[0.5, 5.0])).verdict == "confirmed only if epsilon <= 1e-05"
    assert e1_ledger.judge_better(better.assign(mean=-1.0)).verdict == "refuted"
    ratios = pd.DataFrame({"sgd": [1.0, 1.005], "natgrad": [1.0, 1.006]}, index=[1e-5, 1e-1])
    assert e1_ledger.judge_matched(ratios).verdict == "confirmed"
    assert e1_ledger.judge_matched(ratios + 0.006).verdict == "confirmed only if epsilon <= 1e-05"
    raw = pd.DataFrame({"kl_step": [1e-3, 1e-2], "true_kl": [1e-3, 1e-2], "kl_step_repaired": [1e-3, 1e-2]})
    assert e1_ledger.judge_reported(raw, 10).verdict == "confirmed"
    assert e1_ledger.judge_reported(raw.assign(kl_step=9e-10), 10).verdict == "refuted"


def test_philox_gives_the_known_answers() -> None:
    ones = np.array([2**64 - 1], dtype=np.uint64)
    words = philox(ones, 2**64 - 1, 2**64 - 1)
    assert [int(word[0]) for word in words] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert cuda_normal(8000, 42, 0).std() == pytest.approx(1, abs=0.03)


def test_published_figures_are_met_with_the_published_draws() -> None:
    data = cuda_data()
    reductions = []
    for seed in range(10):
        record = fast_e1(data.inputs, data.targets, initial_parameters(seed, 16, 10), EPSILONS)
        if seed == 0:
            assert record["gate"]["max_eigenvalue"] == pytest.approx(0.2598700449811601, rel=1e-13)
        reductions.append([row["delta_loss"] for row in record["rows"]])
    sgd, natural = np.mean(reductions, 0).reshape(9, 2).T
    advantages = (natural / sgd - 1) * 100
    figures = (advantages.mean(), advantages.min(), advantages.max())
    assert figures == pytest.approx(e1_ledger.PUBLISHED_ADVANTAGES, rel=1e-10)


def test_cells_are_pure_and_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    cell = Cell("e1", "published", "wine", 0, (("draws", "cpu"),))
    assert E1().run(cell, "cpu")["rows"] == E1().run(cell, "cpu")["rows"]
    assert torch.equal(state, torch.get_rng_state())


def test_fisher_of_the_fast_path_is_the_reference() -> None:
    from fishergauge.reports.e1_published import _start

    inputs, targets, weight = small()
    start = _start(inputs, targets, weight)
    assert torch.allclose(start.fisher, softmax_regression_fisher(inputs, inputs @ weight.T), rtol=1e-12, atol=1e-15)
    loss = start.log_partition - (weight * start.observed).sum()
    assert float(loss) == pytest.approx(float(F.cross_entropy(inputs @ weight.T, targets)), rel=1e-13)
