"""Fixed linear modules around trained ones: the declared convention, what hooks see, and models that must be refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import (
    Curvature,
    Facts,
    LayerStatistics,
    Problem,
    eigen_kfac,
    kfac,
    quasi_diagonal,
    reparametrized,
    shampoo,
)
from fishergauge.reference.kfac import BiasMode
from fishergauge.reference.layer_maps import LayerMap, mappable_layers, with_layer_maps
from fishergauge.reference.random_maps import conditioned, permutation
from fishergauge.suites.backpack_quantities import assert_routes_meet
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.reparametrized_cases import LAYERWISE, PROBLEMS, WITHOUT_BIAS, made, original
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import Setting
from fishergauge.suites.zoo.declared import untrue_facts

# --- the convention ----------------------------------------------------------------------------------------------


def drawn(problem: Problem, joint: bool = False) -> dict[str, LayerMap]:
    """A general map of every layer; with ``joint``, A-bar is any matrix."""
    source, maps = generator("layer maps", problem.name), {}
    for layer in mappable_layers(problem):
        outside, inside = layer.module.weight.shape[:2]
        size = inside + (layer.bias is not None)
        a_bar = conditioned(size, 5.0, source)
        if layer.bias is not None and not joint:
            a_bar[-1] = torch.eye(size).double()[-1]
        maps[layer.name] = LayerMap(a_bar, conditioned(outside, 5.0, source))
    return maps


def by_loops(weight: Tensor, bias: Tensor | None, layer_map: LayerMap) -> Tensor:
    """[W, b] = Phi [W', b'] A-bar of one layer, place by place of the kernel, as ``[vec W, b]``."""
    a_bar, phi = layer_map.inner, layer_map.outer
    assert a_bar is not None
    assert phi is not None
    kernel = weight.flatten(2) if weight.ndim > 2 else weight[..., None]
    inside = kernel.shape[1]
    theta = torch.zeros_like(kernel)
    shifted = torch.zeros_like(kernel[:, 0, 0]) if bias is None else bias.clone()
    for place in range(kernel.shape[2]):
        theta[:, :, place] = phi @ kernel[:, :, place] @ a_bar[:inside, :inside]
        if bias is not None:
            shifted += kernel[:, :, place] @ a_bar[:inside, inside]
    return torch.cat([theta.flatten(), *([] if bias is None else [phi @ shifted])])


def follows_the_convention(problem: Problem, maps: dict[str, LayerMap], transform: Tensor, other: Problem) -> None:
    """T phi of a random phi, against loops; the parameters of each layer are neighbours in both vectors."""
    phi = torch.randn(other.num_parameters, generator=generator("phi"), dtype=torch.float64)
    expected, start = [], 0
    for name, layer_map in maps.items():
        module = problem.model.get_submodule(name)
        assert isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        count = module.weight.numel()
        end = start + count + (0 if module.bias is None else len(module.bias))
        bias = None if module.bias is None else phi[start + count : end]
        expected.append(by_loops(phi[start : start + count].view_as(module.weight), bias, layer_map))
        start = end
    assert_close(transform @ phi, torch.cat(expected), "[W, b] = Phi [W', b'] A-bar", condition=25.0)


CONVENTION = ("mlp-tanh-softmax", "mlp-no-bias", "other-order", "reused-layer", "conv-padding-sum", "conv1d-tagging")


@pytest.mark.parametrize("name", CONVENTION)
def test_maps_follow_the_declared_convention(name: str) -> None:
    problem = original(name)
    maps = drawn(problem)
    other, transform = with_layer_maps(problem, maps)
    follows_the_convention(problem, maps, transform, other)
    assert_close(transform @ other.vector, problem.vector, "T phi = theta", condition=25.0)
    for wrong in (transform.T, torch.linalg.inv(transform)):
        with pytest.raises(ClaimViolated):
            follows_the_convention(problem, maps, wrong, other)
    swapped = {key: LayerMap(m.inner, m.outer.T if m.outer is not None else None) for key, m in maps.items()}
    with pytest.raises(ClaimViolated):
        follows_the_convention(problem, swapped, transform, other)


def test_a_map_that_mixes_inputs_and_bias_makes_a_wider_layer_without_bias() -> None:
    problem = original("mlp-tanh-softmax")
    maps = drawn(problem, joint=True)
    other, transform = with_layer_maps(problem, maps)
    assert [tuple(value.shape) for value in other.parameters.values()] == [(4, 4), (3, 5)]
    start = 0
    for (name, layer_map), wide in zip(maps.items(), other.parameters.values(), strict=True):
        module = problem.model.get_submodule(name)
        assert isinstance(module, nn.Linear)
        part = slice(start, start + wide.numel())
        assert layer_map.outer is not None
        assert layer_map.inner is not None
        matrix = layer_map.outer @ wide.detach() @ layer_map.inner
        assert_close(matrix, torch.cat([module.weight, module.bias[:, None]], 1).detach(), "[W, b]", condition=25.0)
        flat = torch.cat([matrix[:, :-1].flatten(), matrix[:, -1]])
        assert_close(transform[part, part] @ wide.detach().flatten(), flat, "T", condition=25.0)
        start = part.stop


def test_a_layer_without_a_map_keeps_its_coordinates() -> None:
    problem = original("mlp-tanh-softmax")
    other, transform = with_layer_maps(problem, {"2": LayerMap(outer=2 * torch.eye(3))})
    assert list(other.parameters) == ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]
    assert torch.equal(transform.diagonal(), torch.tensor([1.0] * 16 + [2.0] * 15).double())
    assert torch.equal(with_layer_maps(problem, {})[1], torch.eye(31).double())


def test_parameters_that_are_logits_are_none_in_other_coordinates() -> None:
    model = nn.Linear(1, 3, bias=False).double()
    facts = Facts(linear_in_parameters=True, piecewise_linear=True, natural_parameters=True)
    data = [(torch.ones(1, 1).double(), torch.tensor([1]))]
    problem = Problem(model, nn.CrossEntropyLoss(), data, facts=facts)
    assert untrue_facts(problem) == ()
    other = reparametrized(problem, "pre-activations").problem
    assert untrue_facts(other) == ()
    assert untrue_facts(replace(other, facts=facts)) == ("natural_parameters",)
    assert other.facts.linear_in_parameters


# --- each family is what it says ---------------------------------------------------------------------------------


def is_diagonal(matrix: Tensor) -> bool:
    return torch.equal(matrix, matrix.diagonal().diag())


def is_permutation(matrix: Tensor) -> bool:
    return bool(((matrix == 0) | (matrix == 1)).all()) and torch.equal(matrix.sum(0), matrix.sum(1))


def is_identity(matrix: Tensor) -> bool:
    return torch.equal(matrix, torch.eye(len(matrix)).double())


def is_dense(matrix: Tensor) -> bool:
    return bool((matrix != 0).all())


# of three inputs, four hidden units and three outputs: 0.weight, 0.bias, 2.weight, 2.bias
A, B, C, D = slice(0, 12), slice(12, 16), slice(16, 28), slice(28, 31)
FIRST, SECOND = slice(0, 16), slice(16, 31)
STRUCTURE: dict[str, Callable[[Tensor], bool]] = {
    "permutation": lambda t: is_permutation(t) and not any(map(is_identity, (t[A, A], t[B, B], t[C, C], t[D, D]))),
    "scalar": lambda t: torch.equal(t, 3 * torch.eye(31).double()),
    "orthogonal": lambda t: bool((t.T @ t - torch.eye(31)).abs().max() < 1e-14) and is_dense(t[A, A]) and is_dense(t[C, C]),
    "scaling": lambda t: is_diagonal(t) and torch.equal(t[A, A].diagonal(), torch.tensor([2, 2, 0.5] * 4).double()),
    "diagonal": lambda t: is_diagonal(t) and len(set(t.diagonal().tolist())) == 31,
    "unit-scaling": lambda t: is_diagonal(t) and not any(map(is_identity, (t[A, A], t[B, B], t[C, C], t[D, D]))),
    "unit-affine": lambda t: is_diagonal(t[A, A]) and is_diagonal(t[C, C]) and bool(t[B, A].any()) and bool(t[D, C].any()),
    "inputs-linear": lambda t: is_identity(t[12:, 12:]) and is_dense(t[:3, :3]) and not t[B, A].any(),
    "inputs-affine": lambda t: is_identity(t[12:, 12:]) and is_dense(t[:3, :3]) and bool(t[B, A].any()),
    "hidden-affine": lambda t: is_identity(t[FIRST, FIRST]) and is_identity(t[D, D]) and bool(t[D, C].any()),
    "pre-activations": lambda t: is_dense(t[B, B]) and is_dense(t[D, D]) and is_diagonal(t[:3, :3]),
    "kronecker": lambda t: is_dense(t[A, A]) and is_dense(t[D, D]) and not t[B, A].any() and not t[D, C].any(),
    "affine": lambda t: is_dense(t[A, A]) and is_dense(t[B, A]) and is_dense(t[D, C]) and not t[A, B].any(),
    "joint-kronecker": lambda t: is_dense(t[FIRST, FIRST]) and is_dense(t[SECOND, SECOND]),
    "dense-layers": lambda t: is_dense(t[FIRST, FIRST]) and is_dense(t[SECOND, SECOND]),
    "dense": is_dense,
}


ALSO = {
    "unit-scaling": {"scalar", "diagonal"},
    "kronecker": {"orthogonal"},
    "joint-kronecker": {"dense-layers", "dense"},
    "dense-layers": {"joint-kronecker", "dense"},
}
"""The families that have the structure of another one as well."""


@pytest.mark.parametrize("family", STRUCTURE)
def test_each_family_is_what_it_says_and_others_are_not(family: str) -> None:
    maps = {name: made("mlp-tanh-softmax", name, kappa=4.0).jacobian for name in STRUCTURE}
    assert {name for name, transform in maps.items() if STRUCTURE[family](transform)} == {family} | ALSO.get(family, set())
    across = maps[family][FIRST, SECOND].any() or maps[family][SECOND, FIRST].any()
    assert bool(across) == (family == "dense")


def test_a_permutation_is_not_the_identity_where_there_is_another() -> None:
    source = generator("permutations")
    for size in (2, 3, 4):
        drawn_ones = [permutation(size, source) for _ in range(20)]
        assert all(is_permutation(matrix) and not is_identity(matrix) for matrix in drawn_ones)
    assert is_identity(permutation(1, source))


# --- what works with the modules ---------------------------------------------------------------------------------

HOOKED = ("mlp-tanh-softmax", "mlp-no-bias", "conv-padding-sum", "conv1d-tagging", "masked-labels", "softmax-regression")


def kronecker_factors_transform(name: str, families: Sequence[str], bias: BiasMode) -> None:
    """T' (G kron A) T: A' = A-bar A A-bar' and G' = Phi' G Phi."""
    for family in families:
        r = made(name, family)
        expected = r.jacobian.T @ kfac(original(name), "ggn", bias).dense() @ r.jacobian
        assert_close(kfac(r.problem, "ggn", bias).dense(), expected, f"K-FAC under {family}", condition=100.0)


@pytest.mark.parametrize("name", HOOKED)
def test_kronecker_factors_transform_with_the_layer(name: str) -> None:
    families = [family for family in LAYERWISE if family not in PROBLEMS[name]]
    kronecker_factors_transform(name, families, "joint")
    kronecker_factors_transform(name, ["permutation", "scalar", "orthogonal", "scaling", "kronecker"], "separate")
    if not PROBLEMS[name] >= WITHOUT_BIAS:  # a shift mixes what separate factors keep apart
        with pytest.raises(ClaimViolated):
            kronecker_factors_transform(name, ["affine"], "separate")


def test_the_factors_are_those_of_the_mapped_activations_and_gradients() -> None:
    problem = original("mlp-tanh-softmax")
    maps = drawn(problem)
    before, after = kfac(problem).factors.values(), kfac(with_layer_maps(problem, maps)[0]).factors.values()
    for (name, layer_map), old, new in zip(maps.items(), before, after, strict=True):
        a_bar, phi = layer_map.inner, layer_map.outer
        assert a_bar is not None
        assert phi is not None
        assert new.name == f"{name}.1"
        assert_close(new.input_factor, a_bar @ old.input_factor @ a_bar.T, "A' = A-bar A A-bar'", condition=25.0)
        assert_close(new.output_factor, phi.T @ old.output_factor @ phi, "G' = Phi' G Phi", condition=25.0)
        assert_apart(new.input_factor, a_bar.T @ old.input_factor @ a_bar, "A' with A-bar transposed")
        assert_apart(new.output_factor, phi @ old.output_factor @ phi.T, "G' with Phi transposed")


ROTATED = ["permutation", "scalar", "orthogonal"]
COVARIANT: dict[str, tuple[Callable[[Problem], Curvature], list[str], str]] = {
    "eigen-kfac": (eigen_kfac, ROTATED, "kronecker"),
    "quasi-diagonal": (quasi_diagonal, ["permutation", "scalar", "scaling", "unit-scaling", "unit-affine"], "orthogonal"),
}


@pytest.mark.parametrize("quantity", COVARIANT)
def test_other_structures_transform_in_their_own_families_and_not_beyond(quantity: str) -> None:
    matrix, families, beyond = COVARIANT[quantity]
    problem = original("mlp-tanh-softmax")
    here = matrix(problem).dense()
    for family in families:
        r = made("mlp-tanh-softmax", family)
        expected = r.jacobian.T @ here @ r.jacobian
        assert_close(matrix(r.problem).dense(), expected, f"{quantity} under {family}", condition=1e3)
    r = made("mlp-tanh-softmax", beyond)
    assert_apart(matrix(r.problem).dense(), r.jacobian.T @ here @ r.jacobian, f"{quantity} under {beyond}")


@pytest.mark.parametrize("family", LAYERWISE)
def test_whatever_hooks_linear_modules_finds_them(family: str) -> None:
    r = made("mlp-tanh-softmax", family)
    assert [layer.width for layer in LayerStatistics(r.problem).layers.values()] == [4, 3]
    assert all(isinstance(r.problem.model.get_submodule(key.rpartition(".")[0]), nn.Linear) for key in r.problem.parameters)
    for quantity in (shampoo, eigen_kfac, quasi_diagonal):
        matrix = quantity(r.problem)
        dense = matrix.dense()
        assert float(torch.linalg.eigvalsh(dense).min()) > -1e-12 * float(dense.norm())
        assert_close(matrix.diagonal(), dense.diagonal(), quantity.__name__)
        if family != "permutation":
            assert_apart(dense, quantity(r.original).dense(), f"{quantity.__name__} has changed")


@pytest.mark.parametrize("quantity", ["ggn", "ggn_diagonal", "hessian_diagonal", "empirical_fisher", "kflr"])
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-relu-gaussian", "image-classifier"])
def test_backpack_agrees_on_the_model_in_other_coordinates(name: str, quantity: str) -> None:
    problem = image_classifier() if name == "image-classifier" else original(name)
    for family in LAYERWISE:
        assert_routes_meet(quantity, reparametrized(problem, family).problem, ("the reference",))


def image_classifier() -> Problem:
    """Zeros around the images, which a shift of the channels must not move."""
    s = Setting("image-classifier")
    model = lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(27, 2))  # noqa: E731
    return s.join(s.module(model), nn.CrossEntropyLoss(), [(s.normal(4, 2, 3, 3), s.labels(2, 4))], original("cnn").facts)
