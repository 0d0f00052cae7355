"""Singular matrices: what the pseudo-inverse keeps in the outputs and in the parameters, and what a cut-off costs."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn, gradient
from fishergauge.suites.spectrum import cell
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.spectrum_cases import CATALOGUE, families_of, row_of, rows_of, small
from fishergauge.suites.zoo import catalogue_problem

BOTH = ("outputs", "parameters")
EXACT = ("exact-fisher", "ggn", "hessian", "fisher-layer-blocks", "fisher-parameter-blocks", "kfac-joint", "kfac-separate")
KAPPAS = tuple(10.0**k for k in range(2, 11))


def told(row: Row) -> tuple[str, str]:
    return row.predicted, row.verdict


# --- softmax regression: a common shift of all logits is seen by nothing -----------------------------------------


@pytest.mark.parametrize("name", EXACT)
def test_maps_of_the_logits_keep_the_outputs_and_not_the_parameters(name: str) -> None:
    outputs, parameters = (row_of(small("softmax"), "pre-activations", CATALOGUE[name], measure) for measure in BOTH)
    assert outputs.rank == 10  # of 15: a shift for each of five features
    assert told(outputs) == ("invariant", "holds")
    assert told(parameters) == ("not invariant", "holds")
    assert "kernel" in parameters.source
    assert parameters.measured is not None
    assert parameters.measured > 1e-2


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("family", ["scaling", "inputs-linear", "permutation", "orthogonal"])
def test_maps_of_the_inputs_respect_the_kernel(name: str, family: str) -> None:
    for measure in BOTH:
        assert told(row_of(small("softmax"), family, CATALOGUE[name], measure)) == ("invariant", "holds")


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("family", ["pre-activations", "inputs-linear", "kronecker"])
def test_with_one_logit_less_both_are_kept(name: str, family: str) -> None:
    for measure in BOTH:
        row = row_of(small("softmax-reduced"), family, CATALOGUE[name], measure)
        assert (row.rank, *told(row)) == (10, "invariant", "holds")


# --- a kernel that outputs see -------------------------------------------------------------------------------------


def of_few_samples(problem: Problem, _: Problem) -> Tensor:
    """The GGN of four samples out of forty: covariant, of rank eight; outputs of the others see its kernel."""
    inputs, targets = problem.batches[0]
    return ggn(replace(problem, batches=[(inputs[:4], targets[:4])])).dense()


def of_gradients_of_batches(problem: Problem, _: Problem) -> Tensor:
    """The second moment of the gradients of four batches: covariant, the gradient in its range, of rank four."""
    inputs, targets = problem.batches[0]
    parts = torch.split(torch.arange(len(inputs)), len(inputs) // 4)
    rows = torch.stack([gradient(replace(problem, batches=[(inputs[part], targets[part])])) for part in parts])
    return rows.mT @ rows


SEEN = {
    "few-samples": Approximation("few-samples", "", of_few_samples, "all"),
    "gradients": Approximation("gradients", "", of_gradients_of_batches, "all"),
}


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("model", ["softmax-reduced", "linear-gaussian", "mlp"])
def test_a_covariant_matrix_whose_kernel_is_seen_is_invariant_to_what_keeps_angles_only(name: str, model: str) -> None:
    for family, stays in (
        ("permutation", True),
        ("scalar", True),
        ("orthogonal", True),
        ("inputs-linear", False),
        ("dense", False),
    ):
        for measure in BOTH:
            row = row_of(small(model), family, SEEN[name], measure)
            assert told(row) == ("invariant" if stays else "not invariant", "holds")
            assert row.measured is not None
            assert row.measured < 1e-8 if stays else row.measured > 1e-2


def test_a_kernel_that_is_overlooked_would_be_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "through_kernel", lambda prediction, *_: prediction)
    assert row_of(small("mlp"), "dense", SEEN["few-samples"]).verdict == "violated"
    assert row_of(small("softmax"), "pre-activations", CATALOGUE["exact-fisher"], "parameters").verdict == "violated"
    assert row_of(small("softmax"), "pre-activations", CATALOGUE["exact-fisher"], "outputs").verdict == "holds"


def test_single_precision_does_not_refute_what_it_cannot_tell() -> None:
    """Six samples for twenty parameters: float64 shows that the map mixes the kernel, in float32 rounding hides it."""
    families = ("scaling", "inputs-affine", "hidden-affine", "dense-layers")
    exact, rough = (Origin(catalogue_problem("mlp-sigmoid-binary", dtype=dtype)) for dtype in (torch.float64, torch.float32))
    for family in families:
        assert told(row_of(exact, family, CATALOGUE["empirical-fisher"])) == ("not invariant", "holds")
    rows = [row_of(rough, family, CATALOGUE["empirical-fisher"]) for family in families]
    assert not any(row.red for row in rows)
    undecided = [row for row in rows if told(row) == ("invariant", "not-claimed")]
    assert undecided  # which rounding decides: the prediction may differ from machine to machine, and so may the reason
    for row in undecided:
        assert row.reason.startswith("beyond float32")
        assert row.measured is not None
        assert row.bound is not None
        assert row.measured > row.bound


def test_a_kernel_that_is_known_up_to_rounding_refutes_nothing() -> None:
    row = row_of(small("softmax"), "pre-activations", CATALOGUE["ggn"])
    doubted = cell._doubted(replace(row, verdict="violated"))
    assert doubted.verdict == "not-claimed"
    assert "rounding hides whether the map mixes the kernel" in doubted.reason
    assert cell._doubted(row) == row
    assert row.verdict == "holds"


# --- the cut-off of the paper -------------------------------------------------------------------------------------

CUT = [("softmax", "scaling"), ("softmax-reduced", "scaling"), ("linear-gaussian", "kronecker"), ("mlp", "kronecker")]


@pytest.mark.parametrize(("model", "family"), CUT)
def test_the_cut_off_breaks_the_exact_fisher_before_rounding_does(model: str, family: str) -> None:
    rows = rows_of(small(model), family, [CATALOGUE["exact-fisher"]], KAPPAS)
    line = [row for row in rows if row.measure == "outputs"]
    held = max(row.kappa for row in line if row.verdict == "holds")
    broken = [row for row in line if row.cut is not None and row.bound is not None and row.cut > row.bound]
    first = min(row.kappa for row in broken)
    assert first <= held / 100
    for row in broken:
        assert row.cut is not None
        assert row.cut > 1e-2
    for row in line:
        if row.kappa < first:  # it cuts off nothing yet
            assert (row.cut, row.verdict) == (None, "holds")
            assert row.condition is not None
            assert row.condition < 1e8


# --- damping ------------------------------------------------------------------------------------------------------


MAPS = ("scaling", "unit-affine", "kronecker", "joint-kronecker", "dense-layers", "dense")
CELLS = [
    (model, family)
    for model in ("softmax-reduced", "linear-gaussian", "mlp")
    for family in MAPS
    if family in families_of(small(model).problem)
]


@pytest.mark.parametrize(("model", "family"), CELLS)
def test_damping_by_the_metric_restores_what_damping_by_the_identity_loses(model: str, family: str) -> None:
    by_name: dict[str, dict[str, Row]] = {}
    for row in rows_of(small(model), family, list(CATALOGUE.values())):
        by_name.setdefault(row.approximation, {})[row.measure] = row
    restored = 0
    for rows in by_name.values():
        if told(rows["outputs"]) == ("invariant", "holds"):
            plain, metric = rows["damped"], rows["damped by T'T"]
            assert told(metric) == ("invariant", "holds")
            assert told(plain) == ("not invariant", "holds")
            assert plain.measured is not None
            assert metric.measured is not None
            assert plain.measured > 1e3 * metric.measured
            restored += 1
    assert restored >= 5


@pytest.mark.parametrize("name", ["adam", "gradient", "fisher-diagonal"])
def test_damping_by_the_metric_makes_nothing_invariant_that_was_not(name: str) -> None:
    row = row_of(small("mlp"), "kronecker", CATALOGUE[name], "damped by T'T")
    assert told(row) == ("not invariant", "holds")
    assert row.measured is not None
    assert row.measured > 1e-2
