"""The claims about invariant steps fail where the group is larger than the approximation respects, or a layer is left out."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, block_slices
from fishergauge.suites.case import Case
from fishergauge.suites.claim import NotHere
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.claims.invariance import step_deviation
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.matrix import densified
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.subject import Structure, Subject
from fishergauge.suites.zoo import catalogue_problem

HIDDEN = "mlp-softmax-wide-data"
RIGHT = correct_subjects()
QUANTITIES = QuantityCache()
PROBLEMS = {name: catalogue_problem(name) for name in ("softmax-regression", HIDDEN, "conv-stride", "mlp-no-bias")}


def case_of(subject: Subject, problem: str) -> Case:
    return Case(subject, PROBLEMS[problem], QUANTITIES)


def changed(name: str, change: Callable[[Tensor, Problem], Tensor]) -> Subject:
    """A correct subject with its matrix changed afterwards."""
    right = RIGHT[name]
    build = lambda problem: change(densified(right.build(problem), problem), problem)  # noqa: E731
    return replace(right, name="changed", build=build, solve=None)


def sold_as(name: str, structure: Structure, bias: str = "joint") -> Subject:
    """A correct subject that declares to be something else."""
    return replace(RIGHT[name], name="sold", structure=structure, bias=bias, solve=None)  # type: ignore[arg-type]


def damped(matrix: Tensor, problem: Problem) -> Tensor:
    return matrix + 1e-3 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)


def damped_behind_the_first_layer(matrix: Tensor, problem: Problem) -> Tensor:
    matrix = matrix.clone()
    _, *others = block_slices(problem, "layer").values()
    for part in others:
        matrix[part, part] = damped(matrix[part, part], problem)
    return matrix


def rooted(matrix: Tensor, problem: Problem) -> Tensor:
    return matrix.diagonal().sqrt().diag()


HOLDS = {
    "T12": ["kfac-joint", "kfac-separate"],
    "T12-orthogonal": ["ekfac-joint", "ekfac-separate"],
    "T13": ["exact-fisher", "fisher-layer-blocks", "fisher-parameter-blocks"],
    "T14": ["fisher-quasi-diagonal"],
    "T14-scaling": ["fisher-diagonal"],
}
FAILS: dict[str, tuple[str, str, Subject]] = {
    "K-FAC, damped": ("T12", HIDDEN, changed("kfac-joint", damped)),
    "K-FAC, damped behind the first layer": ("T12", HIDDEN, changed("kfac-joint", damped_behind_the_first_layer)),
    "a separate bias sold as joint": ("T12", HIDDEN, sold_as("kfac-separate", "kronecker")),
    "a separate bias of convolutions sold as joint": ("T12", "conv-stride", sold_as("kfac-separate", "kronecker")),
    "EKFAC sold as K-FAC": ("T12", HIDDEN, sold_as("ekfac-separate", "kronecker", "separate")),
    "the diagonal sold as EKFAC": ("T12-orthogonal", "softmax-regression", sold_as("fisher-diagonal", "eigen-kronecker")),
    "the Fisher, damped": ("T13", HIDDEN, changed("exact-fisher", damped)),
    "the Fisher, damped behind the first layer": (
        "T13",
        HIDDEN,
        changed("exact-fisher", damped_behind_the_first_layer),
    ),
    "blocks of parameters sold as those of layers": ("T13", HIDDEN, sold_as("fisher-parameter-blocks", "block-diagonal")),
    "the diagonal sold as quasi-diagonal": ("T14", HIDDEN, sold_as("fisher-diagonal", "quasi-diagonal")),
    "a diagonal, damped": ("T14-scaling", HIDDEN, changed("fisher-diagonal", damped)),
    "roots of a diagonal": ("T14-scaling", "conv-stride", changed("fisher-diagonal", rooted)),
}


@pytest.mark.parametrize(("claim", "name"), [(claim, name) for claim, names in HOLDS.items() for name in names])
@pytest.mark.parametrize("problem", ["softmax-regression", HIDDEN, "conv-stride"])
def test_a_promised_group_leaves_the_step_alone(claim: str, name: str, problem: str) -> None:
    finding = CLAIMS[claim].measure(case_of(RIGHT[name], problem))
    assert finding.holds
    assert finding.bound < 1e-6


@pytest.mark.parametrize("why", FAILS)
def test_what_respects_a_smaller_group_is_seen(why: str) -> None:
    claim, problem, subject = FAILS[why]
    finding = CLAIMS[claim].measure(case_of(subject, problem))
    assert finding.measured > 1e4 * finding.bound
    assert "coordinates the step changes output" in finding.witness


@pytest.mark.parametrize("name", ["kfac-joint", "fisher-layer-blocks"])
def test_maps_of_the_inputs_alone_would_not_see_a_hidden_layer(name: str) -> None:
    case = case_of(changed(name, damped_behind_the_first_layer), HIDDEN)
    assert step_deviation(case, "inputs-affine").holds
    assert not step_deviation(case, "affine").holds


def test_a_larger_group_is_not_promised() -> None:
    for name, family in (("kfac-separate", "affine"), ("ekfac-joint", "kronecker"), ("fisher-diagonal", "orthogonal")):
        assert not step_deviation(case_of(RIGHT[name], HIDDEN), family).holds


def test_a_treatment_of_the_bias_that_is_not_declared_is_read_off() -> None:
    for name in ("kfac-joint", "kfac-separate", "fisher-layer-blocks", "fisher-parameter-blocks"):
        declared, silent = RIGHT[name], replace(RIGHT[name], bias=None)
        claim = CLAIMS["T12" if declared.structure == "kronecker" else "T13"]
        findings = [claim.measure(case_of(subject, HIDDEN)) for subject in (declared, silent)]
        assert findings[0].measured == findings[1].measured
        assert findings[0].holds


def test_without_a_map_of_the_family_the_next_one_counts() -> None:
    case = case_of(RIGHT["fisher-diagonal"], "mlp-no-bias")
    with pytest.raises(NotHere, match="bias"):
        step_deviation(case, "unit-affine")
    assert step_deviation(case, "unit-affine", "unit-scaling") == step_deviation(case, "unit-scaling")
