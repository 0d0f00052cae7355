"""The predicates of the groups: maps inside and outside, and closure under products and inverses."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, Reparametrization, block_slices, reparametrized
from fishergauge.reference.factored_blocks import parameter_index
from fishergauge.reference.random_maps import conditioned, orthogonal, permutation
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.groups import GROUPS, contains
from fishergauge.suites.zoo import catalogue_problem

PROBLEM = catalogue_problem("mlp-tanh-softmax")  # 3 - 4 - 3 with biases, P = 31
SIZE = PROBLEM.num_parameters
INDEX = parameter_index(PROBLEM)
SHAPES = [("0.weight", "0.bias", 4, 3), ("2.weight", "2.bias", 3, 4)]


def change_of(T: Tensor, problem: Problem = PROBLEM) -> Reparametrization:
    """A map by its matrix; the predicates look at nothing else but the two lists of parameters."""
    return Reparametrization("made", 1.0, problem, problem, T)


def source(name: str, seed: int) -> torch.Generator:
    return generator("groups", name, seed)


def normal(*shape: int, source: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def all_maps(seed: int) -> Tensor:
    return conditioned(SIZE, 5.0, source("all", seed))


def within(per: str, seed: int) -> Tensor:
    draws = source(per, seed)
    T = torch.zeros(SIZE, SIZE).double()
    for part in block_slices(PROBLEM, per).values():  # type: ignore[arg-type]
        T[part, part] = conditioned(part.stop - part.start, 5.0, draws)
    return T


def kronecker(seed: int, kind: str, joint: bool) -> Tensor:
    """B kron A for each layer's [W, b], or with A = diag(Omega, 1) for weights and B for biases."""
    draws = source(f"{kind} {joint}", seed)
    T = torch.zeros(SIZE, SIZE).double()
    makers: dict[str, Callable[[int], Tensor]] = {
        "general": lambda n: conditioned(n, 5.0, draws),
        "conformal": lambda n: 1.7 * orthogonal(n, draws),
        "orthogonal": lambda n: orthogonal(n, draws),
    }
    make = makers[kind]
    for weight, bias, outside, inside in SHAPES:
        if joint:
            places = torch.cat([INDEX[weight], INDEX[bias]], 1).flatten()
            T[places[:, None], places] = torch.kron(make(outside), make(inside + 1))
        else:
            outer = make(outside)
            for places, inner in ((INDEX[weight], make(inside)), (INDEX[bias], torch.eye(1).double())):
                T[places.flatten()[:, None], places.flatten()] = torch.kron(outer, inner)
    return T


def units(seed: int) -> Tensor:
    """w_i = s_i w'_i, b = t b' + sum c_i w'_i within each unit."""
    draws = source("units", seed)
    T = normal(SIZE, source=draws).abs().add(0.5).diag()
    for weight, bias, outside, _ in SHAPES:
        for unit in range(outside):
            T[INDEX[bias][unit, 0], INDEX[weight][unit]] = normal(INDEX[weight].shape[1], source=draws)
    return T


def monomial(seed: int) -> Tensor:
    draws = source("scales", seed)
    return permutation(SIZE, draws) * normal(SIZE, source=draws)


def signed_permutation(seed: int) -> Tensor:
    return monomial(seed).sign()


MEMBERS: Mapping[str, Callable[[int], Tensor]] = {
    "all": all_maps,
    "layers": lambda seed: within("layer", seed),
    "parameters": lambda seed: within("parameter", seed),
    "units": units,
    "scales": monomial,
    "joint-kronecker": lambda seed: kronecker(seed, "general", True),
    "separate-kronecker": lambda seed: kronecker(seed, "general", False),
    "joint-conformal": lambda seed: kronecker(seed, "conformal", True),
    "separate-conformal": lambda seed: kronecker(seed, "conformal", False),
    "orthogonal-kronecker": lambda seed: kronecker(seed, "orthogonal", False),
    "signed-permutations": signed_permutation,
    "orthogonal": lambda seed: orthogonal(SIZE, source("orthogonal", seed)),
}
"""Draws a member of each group by its definition."""

INSIDE: dict[str, set[str]] = {
    "all": {"all"},
    "layers": {"all", "layers"},
    "parameters": {"all", "layers", "parameters"},
    "units": {"all", "layers", "units"},
    "scales": {"all", "scales"},
    "joint-kronecker": {"all", "layers", "joint-kronecker"},
    "separate-kronecker": {"all", "layers", "parameters", "joint-kronecker", "separate-kronecker"},
    "joint-conformal": {"all", "layers", "joint-kronecker", "joint-conformal"},
    "separate-conformal": {"all", "layers", "parameters", "joint-kronecker", "separate-kronecker", "separate-conformal"},
    "orthogonal-kronecker": set(GROUPS) - {"units", "scales", "signed-permutations"},
    "signed-permutations": {"all", "scales", "signed-permutations", "orthogonal"},
    "orthogonal": {"all", "orthogonal"},
}
"""To which groups a generic member of each belongs."""


def member(group: str, seed: int) -> Tensor:
    return MEMBERS[group](seed)


def groups_of(T: Tensor) -> set[str]:
    return {group for group in GROUPS if contains(group, change_of(T))}


def test_the_table_is_complete() -> None:
    assert set(MEMBERS) == set(INSIDE) == set(GROUPS)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("group", GROUPS)
def test_members_belong_to_their_group_and_to_the_larger_ones_only(group: str, seed: int) -> None:
    assert groups_of(member(group, seed)) == INSIDE[group]


@pytest.mark.parametrize("group", GROUPS)
def test_products_and_inverses_stay_inside(group: str) -> None:
    one, other = member(group, 0), member(group, 1)
    for T in (one @ other, other @ one, torch.linalg.inv(one), one @ torch.linalg.inv(other)):
        exact = torch.where(T.abs() > 1e-12 * T.abs().max(), T, 0)  # an inverse has rounding where the group has zeros
        assert contains(group, change_of(exact))
    assert contains(group, change_of(torch.eye(SIZE).double()))


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "all"])
def test_what_is_off_by_a_per_cent_is_outside(group: str) -> None:
    T = member(group, 0)
    noise = normal(SIZE, SIZE, source=source("noise", 0))
    assert not contains(group, change_of(T + 0.01 * float(T.norm()) / float(noise.norm()) * noise))


@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [
        ("permutation", {"units", "scales", "joint-kronecker", "signed-permutations", "orthogonal"}, set()),
        ("scalar", {"units", "scales", "joint-conformal", "separate-conformal"}, {"orthogonal", "signed-permutations"}),
        ("orthogonal", {"orthogonal-kronecker", "joint-conformal", "orthogonal"}, {"units", "scales"}),
        ("unit-scaling", {"units", "scales", "separate-kronecker"}, {"joint-conformal", "separate-conformal", "orthogonal"}),
        ("unit-affine", {"units", "joint-kronecker"}, {"scales", "parameters", "separate-kronecker"}),
        ("joint-kronecker", {"joint-kronecker"}, {"units", "parameters", "separate-kronecker", "joint-conformal"}),
        ("dense-layers", {"layers"}, {"parameters", "joint-kronecker", "units"}),
        ("dense", {"all"}, {"layers"}),
        ("exp", {"scales", "units", "parameters"}, {"orthogonal", "joint-kronecker"}),
    ],
)
def test_families_of_maps_lie_where_they_should(family: str, inside: set[str], outside: set[str]) -> None:
    found = {group for group in GROUPS if contains(group, reparametrized(PROBLEM, family, 50.0))}
    assert inside <= found
    assert not outside & found


def test_lengths_are_kept_by_orthogonal_maps_only() -> None:
    for family, keeps in (("permutation", True), ("orthogonal", True), ("scalar", False), ("kronecker", False)):
        change = reparametrized(PROBLEM, family)
        assert contains("all", change)
        assert contains("all", change, metric=True) == keeps


def test_parameters_that_are_laid_out_otherwise_are_no_blocks() -> None:
    """Under joint-kronecker a layer has one parameter [W, b] in the place of two."""
    change = reparametrized(PROBLEM, "joint-kronecker", 50.0)
    assert len(change.problem.parameters) == 2
    assert not contains("parameters", change)


def test_a_bias_that_depends_on_weights_of_another_unit_is_no_map_unit_by_unit() -> None:
    T = member("units", 0)
    assert contains("units", change_of(T))
    T[INDEX["0.bias"][1, 0], INDEX["0.weight"][0, 2]] = 1.0
    assert not contains("units", change_of(T))
    T = member("units", 0)
    T[INDEX["0.weight"][0, 2], INDEX["0.bias"][0, 0]] = 1.0  # and weights do not depend on the bias
    assert not contains("units", change_of(T))
