"""Leaks between blocks and the blocks themselves, by products: at the power they are seen."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, block_slices, fisher, kfac
from fishergauge.reference.curvature import Per
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes.altered_operator import altered_case, low_rank
from fishergauge.suites.probes.block_agreement import blocks, leak, leak_of
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Bias, Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

SEEDS = range(12)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def case_of(problem: Problem, per: Per, bias: Bias | None) -> ProbeCase:
    subject = Subject("blocks", lambda p: fisher(p).block_diagonal(per), structure="block-diagonal", bias=bias)
    return ProbeCase(subject, problem, tags_of(problem))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("per", "bias"), [("layer", "joint"), ("layer", None), ("parameter", "separate"), ("parameter", None)])
def test_right_blocks_hold(per: Per, bias: Bias | None, dtype: torch.dtype) -> None:
    case = case_of(zoo_problem("mlp-tanh-softmax", dtype=dtype), per, bias)
    for measure in (leak, blocks):
        found = measure(case)
        assert found.holds, found.witness
        assert found.witness == ""


@pytest.mark.parametrize(("per", "bias"), [("layer", "separate"), ("parameter", "joint")])
def test_bias_against_its_declaration_is_seen(problem: Problem, per: Per, bias: Bias) -> None:
    case = case_of(problem, per, bias)
    assert not blocks(case).holds
    assert leak(case).holds == (bias == "joint")


def inside(problem: Problem, part: slice, *names: object) -> Tensor:
    """A vector of length one in a part, drawn from names."""
    source = torch.Generator().manual_seed(sum(ord(c) for c in "/".join(map(str, names))))
    vector = torch.zeros(problem.num_parameters, 1, dtype=torch.float64)
    vector[part, 0] = torch.randn(part.stop - part.start, generator=source, dtype=torch.float64)
    unit: Tensor = vector / vector.norm()
    return unit


@pytest.mark.parametrize("seed", SEEDS)
def test_leak_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """Rank one between two blocks, each pair in turn."""
    norm = float(fisher(problem).block_diagonal("parameter").norm())
    parts = list(block_slices(problem, "parameter").values())
    a, b = seed % len(parts), (seed + 1 + seed // len(parts)) % len(parts)

    def leaking(size: float) -> ProbeCase:
        change = low_rank(size * norm * inside(problem, parts[a], "to", seed), inside(problem, parts[b], "from", seed))
        build = lambda p: fisher(p).block_diagonal("parameter")  # noqa: E731
        return altered_case(problem, build, change, seed, structure="block-diagonal", bias="separate")

    power = leak(leaking(0)).power
    assert power is not None
    found = leak(leaking(1.01 * power))
    assert not found.holds
    assert list(block_slices(problem, "parameter"))[a] in found.witness
    assert leak(leaking(power / 1e6)).holds


@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_block_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """Rank one inside a block, relative to the block."""
    exact = fisher(problem).blocks("parameter")
    name, part = list(block_slices(problem, "parameter").items())[seed % len(exact)]

    def deviating(size: float) -> ProbeCase:
        left = size * float(exact[name].norm()) * inside(problem, part, "left", seed)
        build = lambda p: fisher(p).block_diagonal("parameter")  # noqa: E731
        change = low_rank(left, inside(problem, part, "right", seed))
        return altered_case(problem, build, change, seed, structure="block-diagonal", bias="separate")

    power = blocks(deviating(0)).power
    assert power is not None
    found = blocks(deviating(1.01 * power))
    assert not found.holds
    assert f"the block of {name}" in found.witness
    assert blocks(deviating(power / 1e7)).holds


def test_wrong_block_is_named_with_its_factor(problem: Problem) -> None:
    name, part = list(block_slices(problem, "layer").items())[-1]

    def build(p: Problem) -> Tensor:
        matrix = fisher(p).block_diagonal("layer")
        matrix[part, part] *= 2
        return matrix

    subject = Subject("doubled", build, structure="block-diagonal", bias="joint")
    found = blocks(ProbeCase(subject, problem, tags_of(problem)))
    assert f"the block of {name}: ratio to the expected block 2 in every entry" in found.witness


def test_factored_subjects_leak_nothing_and_their_blocks_differ(problem: Problem) -> None:
    case = ProbeCase(Subject("kfac", kfac, structure="block-diagonal", bias="joint"), problem, tags_of(problem))
    assert leak(case).holds
    assert not blocks(case).holds


def test_single_block_has_nothing_to_leak() -> None:
    problem = catalogue_problem("one-parameter")
    with pytest.raises(NotHere, match="one block"):
        leak(case_of(problem, "layer", "joint"))
    assert blocks(case_of(problem, "layer", None)).holds


def test_tied_weights_have_no_layer_of_their_own() -> None:
    with pytest.raises(NotHere, match="tied"):
        blocks(case_of(zoo_problem("tied-autoencoder"), "layer", "joint"))


def test_products_are_counted_and_leaks_measured_once(problem: Problem) -> None:
    case = case_of(problem, "parameter", "separate")
    leak(case)
    assert case.products == 8 + 8
    assert leak_of(case, "parameter") is leak_of(case, "parameter")
    exact_before = case.exact_products
    blocks(case)
    assert case.products == 8 + 8
    assert case.exact_products - exact_before == 2 * len(case.slices())
