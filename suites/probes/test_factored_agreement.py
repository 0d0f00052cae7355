"""Kronecker factorisations by products: the right ones hold, and each mistake of a block is seen where theory is exact."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, block_slices, fisher, kfac
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.factored_agreement import PROBES, bias_blocks, factors
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Bias, Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

BY_ID: Mapping[str, Probe] = {probe.id: probe for probe in PROBES}
SEEDS = range(8)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def case_of(problem: Problem, bias: Bias | None = "joint", matrix: Tensor | None = None, **declared: str) -> ProbeCase:
    def build(p: Problem) -> object:
        treatment = declared.get("sharing", "expand")
        return kfac(p, bias=bias or "joint", sharing=treatment) if matrix is None else matrix  # type: ignore[arg-type]

    subject = Subject("kfac", build, structure="kronecker", bias=bias, **declared)  # type: ignore[arg-type]
    return ProbeCase(subject, problem, tags_of(problem))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bias", ["joint", "separate", None])
def test_right_factors_and_bias_blocks_hold(bias: Bias | None, dtype: torch.dtype) -> None:
    case = case_of(zoo_problem("mlp-tanh-softmax", dtype=dtype), bias)
    for measure in (factors, bias_blocks):
        found = measure(case)
        assert found.holds, found.witness
        assert found.witness == ""


@pytest.mark.parametrize("seed", SEEDS)
def test_factors_off_by_the_power_are_seen(problem: Problem, seed: int) -> None:
    norm, uv = float(kfac(problem).dense().norm()), directions(problem, 2, "factors", seed)

    def deviating(size: float) -> ProbeCase:
        change = low_rank(size * norm * uv[:, :1], uv[:, 1:])
        return altered_case(problem, kfac, change, seed, structure="kronecker", bias="joint")

    power = factors(deviating(0)).power
    assert power is not None
    assert not factors(deviating(1.01 * power)).holds
    assert factors(deviating(power / 1e4)).holds


def scaled_block(problem: Problem, name: str, factor: float) -> Tensor:
    matrix = kfac(problem).dense()
    part = block_slices(problem, "parameter")[name]
    matrix[part, part] *= factor
    return matrix


def test_every_bias_block_is_compared(problem: Problem) -> None:
    names = [name for name in block_slices(problem, "parameter") if name.endswith("bias")]
    assert len(names) > 1
    for name in names:
        found = bias_blocks(case_of(problem, matrix=scaled_block(problem, name, 1 / 12)))
        assert not found.holds
        assert name in found.witness
        assert "ratio to the expected block 0.0833333 = 1/12 in every entry" in found.witness


def test_bias_block_at_the_power_is_seen(problem: Problem) -> None:
    """Rank one inside a block, relative to the block; of a layer that is not the last, so that no unit vectors look there."""
    name = next(name for name in block_slices(problem, "parameter") if name.endswith("bias"))
    part = block_slices(problem, "parameter")[name]
    exact = float(fisher(problem).blocks("parameter")[name].norm())
    for seed in SEEDS:
        drawn = directions(problem, 2, "bias", seed)
        inside = torch.zeros_like(drawn)
        inside[part] = drawn[part] / drawn[part].norm(dim=0)

        def deviating(size: float, inside: Tensor = inside, seed: int = seed) -> ProbeCase:
            change = low_rank(size * exact * inside[:, :1], inside[:, 1:])
            return altered_case(problem, kfac, change, seed, structure="kronecker", bias="joint")

        power = bias_blocks(deviating(0)).power
        assert power is not None
        assert not bias_blocks(deviating(1.01 * power)).holds
        assert bias_blocks(deviating(power / 1e7)).holds


def test_single_entry_of_the_last_bias_is_seen(problem: Problem) -> None:
    matrix = kfac(problem).dense()
    matrix[-1, -2] *= 1 + 1e-9
    found = bias_blocks(case_of(problem, matrix=matrix))
    assert not found.holds
    assert "off by" in found.witness


EXACT = {
    "probe-last-layer": ("mlp-tanh-gaussian", {}),
    "probe-single-sample": ("one-sample-softmax", {}),
    "probe-equal-inputs": ("equal-inputs-softmax", {}),
    "probe-deep-linear": ("deep-linear", {}),
    "probe-expand": ("positions-linear", {}),
    "probe-reduce": ("pooled-linear", {"sharing": "reduce"}),
    "probe-product-data": ("product-data", {"target": "empirical-fisher"}),
}


def measured(id: str, bias: Bias | None, scale: float | None = None) -> ProbeFinding:
    name, declared = EXACT[id]
    problem = catalogue_problem(name)
    target, sharing = declared.get("target", "fisher"), declared.get("sharing", "expand")
    matrix = kfac(problem, target, bias or "joint", sharing).dense()  # type: ignore[arg-type]
    if scale is not None:
        first = slice(0, next(iter(block_slices(problem, "parameter").values())).stop)
        last = list(block_slices(problem, "parameter").values())[-1]
        for part in (first, last):
            matrix[part, part] *= scale
    case = case_of(problem, bias, matrix, **declared)
    probe = BY_ID[id]
    assert probe.made_by(case.subject)
    assert probe.applies_to(case.tags, case.subject)
    return probe.measure(case)


@pytest.mark.parametrize("bias", ["joint", "separate", None])
@pytest.mark.parametrize("id", EXACT)
def test_blocks_are_exact_where_theory_says_so(id: str, bias: Bias | None) -> None:
    right = measured(id, bias)
    assert right.holds, right.witness
    wrong = measured(id, bias, 1 + 1e-6)
    assert not wrong.holds
    assert "the block of" in wrong.witness


def test_not_exact_elsewhere() -> None:
    """The control: the same comparison under cross-entropy, with several samples."""
    assert not BY_ID["probe-last-layer"].measure(case_of(zoo_problem("mlp-tanh-softmax"))).holds
    assert not BY_ID["probe-single-sample"].measure(case_of(zoo_problem("mlp-tanh-softmax"))).holds


def test_scope_is_that_of_the_claims() -> None:
    assert not BY_ID["probe-last-layer"].applies_to(
        tags_of(zoo_problem("mlp-tanh-softmax")), case_of(zoo_problem("cnn")).subject
    )
    assert not BY_ID["probe-bias"].made_by(Subject("ekfac", kfac, structure="eigen-kronecker"))


def test_model_without_kfac_is_left_out() -> None:
    with pytest.raises(NotHere, match="reference has no K-FAC"):
        factors(case_of(zoo_problem("prelu"), matrix=fisher(zoo_problem("prelu")).dense()))


def test_layers_without_biases_are_left_out() -> None:
    with pytest.raises(NotHere, match="has a bias"):
        bias_blocks(case_of(catalogue_problem("mlp-no-bias")))


def test_factors_take_no_products_of_their_own(problem: Problem) -> None:
    case = case_of(problem)
    case.shared()
    before = case.products, case.exact_products
    factors(case)
    assert (case.products, case.exact_products) == before


def test_block_of_a_small_last_bias_is_formed(problem: Problem) -> None:
    """One product for each of its entries, beside the two with all biases."""
    case = case_of(problem)
    case.shared()
    before, names = case.products, [name for name in problem.parameters if name.endswith("bias")]
    bias_blocks(case)
    assert case.products - before == 2 + problem.parameters[names[-1]].numel()
