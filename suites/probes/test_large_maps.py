"""Coordinates of any size against their dense counterparts: T, its inverse and transposes, and what they do to curvature."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, UnsupportedError, eigen_kfac, fisher, ggn, gradient, kfac
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.benchmarks.problems import convolutional, perceptron
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.probes.large_maps import Family, LargeMap, in_large_coordinates
from fishergauge.suites.probes.unit_map import ChannelMap, UnitMap
from fishergauge.suites.seeding import generator

FAMILIES: tuple[Family, ...] = ("scaling", "orthogonal", "kronecker", "affine")


def dense_of(product: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """A matrix from its products with the unit vectors."""
    return torch.stack([product(unit) for unit in torch.eye(size, dtype=torch.float64)], 1)


def small() -> Problem:
    return perceptron((4, 5, 3), 7, "large maps")


def strided() -> Problem:
    source = generator("strided")
    model = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    images, labels = torch.randn(5, 2, 4, 4, generator=source, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])
    return Problem(model, nn.CrossEntropyLoss(), [(images, labels)], "strided", Facts(weight_sharing=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [small, strided])
def test_the_function_stays_and_its_parameters_are_mapped(family: Family, make: Callable[[], Problem]) -> None:
    problem = make()
    before = problem.vector
    other, mapping = in_large_coordinates(problem, family)
    assert_close(other.outputs, problem.outputs, "outputs", condition=mapping.condition)
    assert_close(mapping.forward(other.vector), problem.vector, "T phi = theta", condition=mapping.condition)
    assert_apart(other.vector, problem.vector, "phi is not theta")
    assert_close(gradient(other), mapping.transpose(gradient(problem)), "g' = T'g", condition=mapping.condition)
    assert torch.equal(problem.vector, before)
    assert [p.shape for p in other.parameters.values()] == [p.shape for p in problem.parameters.values()]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [small, strided])
def test_inverse_and_transposes_are_those_of_one_matrix(family: Family, make: Callable[[], Problem]) -> None:
    problem = make()
    _, mapping = in_large_coordinates(problem, family)
    size = problem.num_parameters
    T = dense_of(mapping.forward, size)
    assert_close(dense_of(mapping.transpose, size), T.T, "T'")
    inverse = torch.linalg.inv(T)
    assert_close(dense_of(mapping.inverse, size), inverse, "T^-1", condition=mapping.condition)
    assert_close(dense_of(mapping.inverse_transpose, size), inverse.T, "T^-T", condition=mapping.condition)
    true = float(torch.linalg.cond(T))
    assert true <= mapping.condition * (1 + 1e-9)
    if family != "affine":
        assert mapping.condition <= true * (1 + 1e-9)


def test_the_mean_condition_is_that_of_frobenius_norms() -> None:
    """Of one layer without a bias, where nothing else is in T."""
    problem = perceptron((5, 3), 4, "one layer")
    _, mapping = in_large_coordinates(problem, "kronecker")
    T = dense_of(mapping.forward, problem.num_parameters)
    mean = float(T.norm() * torch.linalg.inv(T).norm()) / len(T)
    assert mapping.mean_condition == pytest.approx(mean, rel=1e-12)
    assert 1.1 < mean < mapping.condition


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ggn_is_covariant_under_all_of_them(family: Family) -> None:
    problem = strided()
    other, mapping = in_large_coordinates(problem, family)
    T = dense_of(mapping.forward, problem.num_parameters)
    assert_close(ggn(other).dense(), T.T @ ggn(problem).dense() @ T, "T'MT", condition=mapping.condition**2)


@pytest.mark.parametrize(
    ("family", "bias", "covariant"),
    [("affine", "joint", True), ("kronecker", "joint", True), ("kronecker", "separate", True), ("affine", "separate", False)],
)
def test_kfac_is_covariant_under_the_maps_that_its_bias_respects(family: Family, bias: str, covariant: bool) -> None:
    problem = small()
    other, mapping = in_large_coordinates(problem, family)
    T = dense_of(mapping.forward, problem.num_parameters)
    here, there = (kfac(p, bias=bias).dense() for p in (problem, other))  # type: ignore[arg-type]
    if covariant:
        assert_close(there, T.T @ here @ T, "T'KT", condition=mapping.condition**2)
    else:
        assert_apart(there, T.T @ here @ T, "a separate bias under a shift")


def test_eigenbases_and_diagonals_are_not_covariant_under_mixtures() -> None:
    problem = small()
    other, mapping = in_large_coordinates(problem, "kronecker")
    T = dense_of(mapping.forward, problem.num_parameters)
    assert_apart(eigen_kfac(other).dense(), T.T @ eigen_kfac(problem).dense() @ T, "EKFAC")
    here, there = (fisher(p).diagonal().diag() for p in (problem, other))
    assert_apart(there, T.T @ here @ T, "the diagonal")
    scaled, mapping = in_large_coordinates(problem, "scaling")
    T = dense_of(mapping.forward, problem.num_parameters)
    assert_close(fisher(scaled).diagonal().diag(), T.T @ here @ T, "the diagonal, scaled", condition=mapping.condition**2)


def test_maps_are_drawn_from_the_names_of_family_and_problem_and_the_seed() -> None:
    vectors = [in_large_coordinates(small(), "affine", seed=seed)[0].vector for seed in (0, 0, 1)]
    assert torch.equal(vectors[0], vectors[1])
    assert_apart(vectors[2], vectors[0], "another seed")


def test_a_map_of_channels_acts_on_the_axis_of_channels() -> None:
    source = generator("channels")
    scales, left, right, shift = torch.randn(4, 3, generator=source, dtype=torch.float64)
    unit_map = UnitMap(scales.abs() + 0.1, left, right)
    matrix = dense_of(lambda v: unit_map(v, 0), 3)
    first, second = (torch.eye(3, dtype=torch.float64) - 2 * torch.outer(v, v) / (v @ v) for v in (left, right))
    assert_close(matrix, first @ unit_map.scales.diag() @ second, "H_u diag(s) H_v")
    images = torch.randn(2, 3, 4, 5, generator=source, dtype=torch.float64)
    expected = torch.einsum("ij,njhw->nihw", matrix, images) + shift[:, None, None]
    assert_close(ChannelMap(unit_map, 2, shift)(images), expected, "images")
    rows = torch.randn(2, 6, 3, generator=source, dtype=torch.float64)
    assert_close(ChannelMap(unit_map, 0, shift)(rows), rows @ matrix.T + shift, "positions before the features")
    assert_close(dense_of(lambda v: unit_map.inverse(v, 0), 3), torch.linalg.inv(matrix), "inverse", condition=100)
    assert_close(dense_of(lambda v: unit_map.transpose(v, 0), 3), matrix.T, "transpose")


class UsesTheWeight(nn.Module):
    """A model that goes past a layer to its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).double()
        self.other = nn.Linear(2, 2).double()

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.other(self.layer(inputs) + inputs @ self.layer.weight.T)
        return hidden


def test_a_model_that_uses_a_weight_past_its_layer_is_refused() -> None:
    problem = Problem(UsesTheWeight(), nn.MSELoss(), [(torch.ones(4, 3).double(), torch.zeros(4, 2).double())])
    with pytest.raises(UnsupportedError, match="call the layers as modules"):
        in_large_coordinates(problem, "kronecker")


class HiddenPath(nn.Module):
    """A model that calls a layer past its name as well."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).double()
        self.past = [self.layer]

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs) * self.past[0](inputs).tanh()
        return outputs


def test_a_model_that_runs_but_is_another_function_is_refused() -> None:
    problem = Problem(HiddenPath(), nn.MSELoss(), [(torch.ones(4, 3).double(), torch.zeros(4, 2).double())])
    with pytest.raises(UnsupportedError, match="another function"):
        in_large_coordinates(problem, "kronecker")


class Functional(nn.Module):
    """A parameter without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight.T


def test_a_model_without_layers_is_refused() -> None:
    problem = Problem(Functional(), nn.MSELoss(), [(torch.ones(4, 3).double(), torch.zeros(4, 2).double())])
    with pytest.raises(UnsupportedError, match="no linear module"):
        in_large_coordinates(problem, "kronecker")


def test_memory_is_a_few_vectors_however_wide_a_layer_is() -> None:
    """Whose matrices of inputs, 3000 x 3000 numbers, would hold 72 MB."""
    problem = perceptron((3000, 2, 2), 4, "wide")
    found: list[tuple[Problem, LargeMap]] = []
    used = peak_bytes(lambda: found.append(in_large_coordinates(problem, "affine")))
    assert used < 30 * 8 * problem.num_parameters
    mapping = found[0][1]
    assert peak_bytes(lambda: mapping.forward(problem.vector)) < 8 * 8 * problem.num_parameters


def test_convolutions_in_single_precision_keep_their_function() -> None:
    problem = convolutional((2, 3), 6, "single")
    batches = [(inputs.float(), targets) for inputs, targets in problem.batches]
    single = Problem(problem.model.float(), problem.loss, batches, problem.name, problem.facts)
    other, mapping = in_large_coordinates(single, "affine")
    assert other.dtype == torch.float32
    assert mapping.forward(other.vector).dtype == torch.float64
    assert_close(other.outputs, single.outputs, "outputs", condition=mapping.condition)
