"""Properties that follow from the definition alone, over random shapes, losses, reductions and batch splits."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, empirical_fisher, ggn, hessian
from fishergauge.reference.oracle import oracle_empirical_fisher, oracle_fisher, oracle_ggn, oracle_hessian
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.random_problem import SHAPES, Shape, random_problem
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.zoo import Setting, zoo_problem

SINGLE_CLASS = Shape(1, 1, 0, 1, 0, False, "categorical", "mean", 0)  # its cross-entropy is zero everywhere
MATRICES = ["hessian", "ggn", "fisher", "empirical_fisher"]
ORACLES = [oracle_hessian, oracle_ggn, oracle_fisher, oracle_empirical_fisher]

every_matrix = pytest.mark.parametrize("quantity", MATRICES)


def _dense(problem: Problem, quantity: str, quantities: Quantities) -> Tensor:
    matrix: Tensor = quantities.named(quantity)(problem).dense()
    return matrix


def _assert_same(other: Problem, problem: Problem, what: str, quantities: Quantities) -> None:
    """All matrices of two problems are equal."""
    scale = _scale(problem)
    for quantity in MATRICES:
        expected = _dense(problem, quantity, quantities)
        assert_close(_dense(other, quantity, quantities), expected, f"{quantity}, {what}", scale=scale)


def _scale(problem: Problem) -> float:
    """The size of what is summed; a Hessian may be a small difference of it."""
    return sum(float(matrix(problem).dense().norm()) for matrix in (ggn, hessian, empirical_fisher))


@unhurried
@given(shape=SHAPES)
@example(shape=SINGLE_CLASS)
def test_all_matrices_equal_the_oracle(shape: Shape, quantities: Quantities) -> None:
    problem = random_problem(shape)
    scale = _scale(problem)
    for quantity, oracle in zip(MATRICES, ORACLES, strict=True):
        assert_close(_dense(problem, quantity, quantities), oracle(problem), quantity, scale=scale)


@unhurried
@given(shape=SHAPES)
def test_sum_over_mean_is_the_number_that_the_mean_divides_by(shape: Shape, quantities: Quantities) -> None:
    mean, total = (random_problem(replace(shape, reduction=r)) for r in ("mean", "sum"))
    total = replace(total, model=mean.model, batches=mean.batches)
    labels = shape.samples * max(1, shape.positions)
    divisor = labels if shape.loss == "categorical" else labels * shape.outputs
    for quantity in MATRICES:
        expected = divisor * _dense(mean, quantity, quantities)
        claim = f"{quantity}: sum = {divisor} times mean"
        assert_close(_dense(total, quantity, quantities), expected, claim, scale=_scale(total))


@unhurried
@given(shape=SHAPES, cuts=st.sets(st.integers(1, 4)))
def test_batches_are_pieces_of_one_data_set(shape: Shape, cuts: set[int], quantities: Quantities) -> None:
    problem = random_problem(shape)
    edges = [0, *sorted(cut for cut in cuts if cut < shape.samples), shape.samples]
    pieces = [(problem.inputs[a:b], problem.targets[a:b]) for a, b in itertools.pairwise(edges)]
    _assert_same(replace(problem, batches=pieces), problem, f"{len(pieces)} batches", quantities)


@unhurried
@given(shape=SHAPES, first=st.integers(1, 4))
def test_under_sum_disjoint_batches_add_up(shape: Shape, first: int, quantities: Quantities) -> None:
    problem = random_problem(replace(shape, samples=shape.samples + first, reduction="sum"))
    parts = [replace(problem, batches=[(problem.inputs[s], problem.targets[s])]) for s in (slice(first), slice(first, None))]
    for quantity in MATRICES:
        added = sum((_dense(part, quantity, quantities) for part in parts), torch.zeros(()).double())
        assert_close(_dense(problem, quantity, quantities), added, f"{quantity} adds up", scale=_scale(problem))


@unhurried
@given(shape=SHAPES, copies=st.integers(2, 3))
def test_under_mean_duplicated_data_change_nothing(shape: Shape, copies: int, quantities: Quantities) -> None:
    problem = random_problem(replace(shape, reduction="mean"))
    duplicated = replace(problem, batches=list(problem.batches) * copies)
    _assert_same(duplicated, problem, "duplicated", quantities)


@unhurried
@given(shape=SHAPES, seed=st.integers(0, 2**31 - 1))
def test_the_order_of_samples_does_not_matter(shape: Shape, seed: int, quantities: Quantities) -> None:
    problem = random_problem(shape)
    order = torch.randperm(shape.samples, generator=torch.Generator().manual_seed(seed))
    shuffled = replace(problem, batches=[(problem.inputs[order], problem.targets[order])])
    _assert_same(shuffled, problem, "shuffled", quantities)


@unhurried
@given(shape=SHAPES, seed=st.integers(0, 2**31 - 1))
def test_permuted_hidden_units_permute_the_matrix(shape: Shape, seed: int, quantities: Quantities) -> None:
    shape = replace(shape, hidden=max(2, shape.hidden), bias=True)
    problem = random_problem(shape)
    order = torch.randperm(shape.hidden, generator=torch.Generator().manual_seed(seed))
    names = [f"network.{n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")]

    def permuted(tensors: dict[str, Tensor]) -> Tensor:
        first, bias, last, rest = (tensors[name] for name in names)
        return problem.flatten(dict(zip(names, (first[order], bias[order], last[:, order], rest), strict=True)))

    index = permuted(problem.unflatten(torch.arange(problem.num_parameters))).long()
    other = problem.at(permuted(problem.unflatten(problem.vector)))
    for quantity in MATRICES:
        expected = _dense(problem, quantity, quantities)[index][:, index]
        assert_close(_dense(other, quantity, quantities), expected, f"{quantity}, units permuted", scale=_scale(problem))


@unhurried
@given(shape=SHAPES, seed=st.integers(0, 2**31 - 1))
def test_permuted_classes_permute_the_matrix(shape: Shape, seed: int, quantities: Quantities) -> None:
    shape = replace(shape, loss="categorical", positions=0, hidden=0, bias=False)
    problem = random_problem(shape)
    order = torch.randperm(shape.outputs, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(problem.num_parameters).view(shape.outputs, -1)[order].reshape(-1)
    # class order[c] of the old problem is class c of the new one
    labels = order.argsort()[problem.targets]
    other = replace(problem.at(problem.vector[index]), batches=[(problem.inputs, labels)])
    for quantity in MATRICES:
        expected = _dense(problem, quantity, quantities)[index][:, index]
        assert_close(_dense(other, quantity, quantities), expected, f"{quantity}, classes permuted", scale=_scale(problem))


@unhurried
@given(shape=SHAPES, seed=st.integers(0, 2**31 - 1))
def test_a_masked_sample_is_an_absent_sample(shape: Shape, seed: int, quantities: Quantities) -> None:
    shape = replace(shape, loss="categorical", positions=0, samples=shape.samples + 1)
    problem = random_problem(shape)
    keep = torch.rand(shape.samples, generator=torch.Generator().manual_seed(seed)) < 0.5
    keep[0] = True
    masked = replace(problem, batches=[(problem.inputs, problem.targets.masked_fill(~keep, -100))])
    absent = replace(problem, batches=[(problem.inputs[keep], problem.targets[keep])])
    _assert_same(masked, absent, "masked", quantities)


@unhurried
@given(shape=SHAPES)
def test_positions_are_samples(shape: Shape, quantities: Quantities) -> None:
    shape = replace(shape, positions=max(2, shape.positions))
    problem = random_problem(shape)
    inputs = problem.inputs.flatten(0, 1)
    targets = problem.targets.flatten(0, 1)
    model = copy.deepcopy(problem.model)
    model.class_axis_second = False  # type: ignore[assignment]
    flat = replace(problem, model=model, batches=[(inputs, targets)])
    for quantity in MATRICES:
        expected = _dense(flat, quantity, quantities)
        assert_close(_dense(problem, quantity, quantities), expected, f"{quantity} on positions", scale=_scale(problem))


@unhurried
@given(shape=SHAPES)
def test_a_linear_layer_on_positions_is_a_convolution_of_width_one(shape: Shape, quantities: Quantities) -> None:
    shape = replace(shape, positions=max(2, shape.positions), hidden=0, loss="categorical", bias=True)
    problem = random_problem(shape)
    convolution = nn.Conv1d(shape.features, shape.outputs, 1).double().eval()
    with torch.no_grad():
        for target, source in zip(convolution.parameters(), problem.parameters.values(), strict=True):
            target.copy_(source.view_as(target))
    other = replace(problem, model=convolution, batches=[(problem.inputs.movedim(1, -1), problem.targets)])
    _assert_same(other, problem, "convolution", quantities)


@unhurried
@given(shape=SHAPES)
def test_gradients_of_samples_add_up_to_the_gradient(shape: Shape, quantities: Quantities) -> None:
    problem = random_problem(replace(shape, reduction="sum"))
    singles = [
        replace(problem, batches=[(problem.inputs[n : n + 1], problem.targets[n : n + 1])]) for n in range(shape.samples)
    ]
    slopes = torch.stack([quantities.gradient(single) for single in singles])
    scale = float(slopes.norm()) * shape.samples**0.5
    assert_close(quantities.gradient(problem), slopes.sum(0), "sum of gradients", scale=scale or 1.0)


@unhurried
@given(shape=SHAPES, seed=st.integers(0, 2**31 - 1))
def test_products_are_linear_and_symmetric(shape: Shape, seed: int, quantities: Quantities) -> None:
    problem = random_problem(shape)
    draws = torch.Generator().manual_seed(seed)
    v, w = (torch.randn(problem.num_parameters, generator=draws, dtype=torch.float64) for _ in range(2))
    for quantity in MATRICES:
        matrix = quantities.named(quantity)(problem)
        scale = _scale(problem) * float(v.norm() * w.norm() + v.norm() + w.norm())
        assert not (matrix @ torch.zeros_like(v)).any()
        assert_close(matrix @ (2 * v - w), 2 * (matrix @ v) - matrix @ w, f"{quantity} is linear", scale=4 * scale)
        assert_close(w @ (matrix @ v), v @ (matrix @ w), f"{quantity} is symmetric", scale=scale)


@every_matrix
def test_a_scaled_output_scales_the_curvature(quantity: str, quantities: Quantities) -> None:
    # squared error of outputs and targets both times three is nine times the objective
    problem = zoo_problem("linear-regression")
    tripled = replace(problem, model=nn.Sequential(problem.model, _Times(3.0)), batches=[(problem.inputs, 3 * problem.targets)])
    factor = 81 if quantity == "empirical_fisher" else 9  # an un-normalised second moment of gradients scales with the square
    expected = factor * _dense(problem, quantity, quantities)
    assert_close(_dense(tripled, quantity, quantities), expected, f"{quantity} of the objective times nine")


@every_matrix
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "conv1d-tagging"])
def test_the_same_call_gives_the_same_answer_twice(name: str, quantity: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    matrix = quantities.named(quantity)(problem)
    vector = torch.randn(problem.num_parameters, generator=generator("twice"), dtype=torch.float64)
    assert torch.equal(matrix.dense(), matrix.dense())
    assert torch.equal(matrix @ vector, matrix @ vector)
    assert torch.equal(matrix.diagonal(), matrix.diagonal())
    assert torch.equal(_dense(problem, quantity, quantities), matrix.dense())


def test_a_flattened_convolution_over_the_whole_input_is_a_linear_layer(quantities: Quantities) -> None:
    s = Setting("conv2d as linear")
    inputs, labels = s.normal(5, 2, 3, 2), s.labels(4, 5)
    linear = s.problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), nn.CrossEntropyLoss(), [(inputs, labels)], Facts()
    )
    model = nn.Sequential(nn.Conv2d(2, 4, (3, 2)), nn.Flatten()).double().eval()
    with torch.no_grad():
        for target, source in zip(model.parameters(), linear.parameters.values(), strict=True):
            target.copy_(source.view_as(target))
    for quantity in MATRICES:
        expected = _dense(linear, quantity, quantities)
        assert_close(_dense(replace(linear, model=model), quantity, quantities), expected, f"{quantity}, convolution")


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return self.factor * inputs
