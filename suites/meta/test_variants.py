"""The problems that the axioms compare are what they are said to be: by the reference, on which every axiom holds."""

from collections.abc import Callable

import pytest
import torch

from fishergauge.reference import Problem, ggn
from fishergauge.suites import variants
from fishergauge.suites.claim import NotHere
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem

SOURCE = generator


def _permuted(change: Callable[[Problem, torch.Generator], tuple[Problem, torch.Tensor]]) -> int:
    count = 0
    for name in CATALOGUE:
        problem = catalogue_problem(name)
        try:
            other, index = change(problem, generator(name))
        except NotHere:
            continue
        count += 1
        assert index.sort().values.tolist() == list(range(problem.num_parameters))
        assert index.tolist() != list(range(problem.num_parameters))
        expected = ggn(problem).dense()[index][:, index]
        assert float((ggn(other).dense() - expected).norm()) <= 1e-8 * float(expected.norm()), name
    return count


def test_permuted_units_permute_the_curvature() -> None:
    assert _permuted(variants.permuted_units) > 15


def test_permuted_outputs_permute_the_curvature() -> None:
    assert _permuted(variants.permuted_outputs) > 30


def test_a_split_is_uneven_and_several_batches_are_joined() -> None:
    assert [len(x) for x, _ in variants.split(catalogue_problem("linear-regression")).batches] == [5, 2]
    assert [len(x) for x, _ in variants.split(catalogue_problem("softmax-uneven-batches")).batches] == [7]


@pytest.mark.parametrize("name", ["linear-regression", "softmax-regression", "logistic-regression", "masked-labels"])
def test_every_label_is_replaced_and_masks_stay(name: str) -> None:
    problem = catalogue_problem(name)
    other = variants.relabelled(problem, generator(name))
    ignored = problem.targets == getattr(problem.loss, "ignore_index", None)
    assert bool((other.targets[~ignored] != problem.targets[~ignored]).all())
    assert torch.equal(other.targets[ignored], problem.targets[ignored])


def test_positions_become_samples_or_a_convolution() -> None:
    problem = catalogue_problem("positions-linear")
    flat, convolution = variants.flattened_positions(problem), variants.as_convolution(problem)
    assert flat.num_samples == 3 * problem.num_samples
    assert float((flat.outputs.reshape(-1) - problem.outputs.reshape(-1)).abs().max()) < 1e-14
    assert float((convolution.outputs.mT - problem.outputs).abs().max()) < 1e-14


EMPTY: dict[str, tuple[str, Callable[[Problem], object]]] = {
    "one sample": ("one-sample-gaussian", variants.split),
    "no mask": ("linear-regression", variants.masked_and_absent),
    "soft targets": ("soft-targets", lambda p: variants.relabelled(p, SOURCE("x"))),
    "no hidden layer": ("linear-regression", lambda p: variants.permuted_units(p, SOURCE("x"))),
    "positions that are repeated": ("repeated-positions", variants.flattened_positions),
}


@pytest.mark.parametrize("why", EMPTY)
def test_a_change_without_content_is_refused(why: str) -> None:
    name, change = EMPTY[why]
    with pytest.raises(NotHere):
        change(catalogue_problem(name))
