"""Maps of the parameter vector: derivatives of nonlinear maps, steps, condition numbers, and models without layers."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import (
    FAMILIES,
    ProblemError,
    Reparametrization,
    UnsupportedError,
    block_slices,
    fisher,
    hessian,
    kfac,
)
from fishergauge.reference.backpack import backpack_ggn, backpack_ggn_product
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.reparametrized_cases import CONDITIONED, GENERAL, NONLINEAR, SHIFTED, direction, made
from fishergauge.suites.zoo.declared import untrue_facts

# --- nonlinear maps, and steps -----------------------------------------------------------------------------------


def central_differences(r: Reparametrization, h: float = 1e-4) -> Tensor:
    """DT column by column."""
    assert r.coordinates is not None
    phi = r.problem.vector.double()
    columns = [(r.coordinates(phi + h * e) - r.coordinates(phi - h * e)) / (2 * h) for e in torch.eye(len(phi)).double()]
    return torch.stack(columns, 1)


def slope_of_deviation(r: Reparametrization) -> float:
    """The power of the length with which the change of theta deviates from DT s, by least squares over eight halvings."""
    step = direction(r.problem).double()
    lengths = 2.0 ** -torch.arange(3, 11, dtype=torch.float64)
    limit = r.push_back(step)
    deviations = torch.stack([(r.push_back(step, float(length)) - limit).norm() for length in lengths])
    x, y = lengths.log(), deviations.log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


@pytest.mark.parametrize("family", NONLINEAR)
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "cnn", "sizes-of-one", "embedding"])
def test_the_jacobian_of_a_nonlinear_map_is_its_derivative(name: str, family: str) -> None:
    r = made(name, family)
    # truncation h^2 / 6 times a third derivative: at most cosh of the largest phi, and less than ten for angles
    bound = 1e-8 * max(10.0, math.exp(float(r.problem.vector.abs().max())))
    differences = central_differences(r)
    assert float((differences - r.jacobian).abs().max()) < bound
    assert float((differences - 1.001 * r.jacobian).abs().max()) > bound
    if family == "spherical" and name != "sizes-of-one":  # the others are diagonal
        assert float((differences - r.jacobian.T).abs().max()) > 0.1


def test_spherical_coordinates_join_three_parameters_of_a_tensor() -> None:
    r = made("mlp-tanh-softmax", "spherical")
    left, phi = r.jacobian.clone(), r.problem.vector
    start = 0
    for parameter in r.original.parameters.values():
        for first in range(start, start + parameter.numel(), 3):
            part = slice(first, min(first + 3, start + parameter.numel()))
            block, (radius, *angles) = left[part, part].clone(), phi[part]
            volume = {0: 1.0, 1: radius, 2: radius**2 * (angles or [radius])[0].sin()}[len(angles)]
            assert_close(
                torch.linalg.det(block).abs(), torch.as_tensor(volume).double(), "volume of polar or spherical coordinates"
            )
            left[part, part] = 0
        start += parameter.numel()
    assert not left.any()


@pytest.mark.parametrize("family", NONLINEAR)
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "cnn", "small-attention"])
def test_a_step_in_a_nonlinear_map_tends_linearly_to_its_limit(name: str, family: str) -> None:
    r = made(name, family)
    assert abs(slope_of_deviation(r) - 1) < 0.05
    assert slope_of_deviation(replace(r, jacobian=1.01 * r.jacobian)) < 0.9  # it tends to something else


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.linear])
def test_a_step_in_a_linear_map_is_exact_at_every_length(family: str) -> None:
    r = made("mlp-tanh-softmax", family)
    step = direction(r.problem)
    for length in (None, 1e-3, 1.0, 1e3):
        assert torch.equal(r.push_back(step, length), r.jacobian @ step)
    there = r.problem.at(r.problem.vector + step).vector
    assert_close(r.jacobian @ there, r.original.vector + r.push_back(step), "theta after the step", condition=r.condition)


@pytest.mark.parametrize(("size", "length"), [(3, None), (31, 0.0), (31, math.nan), (31, math.inf)])
def test_steps_that_make_no_sense_are_refused(size: int, length: float | None) -> None:
    with pytest.raises(ProblemError, match=r"expected a step of shape|a length is finite and not zero"):
        made("mlp-tanh-softmax", "sinh").push_back(torch.ones(size), length)


# --- condition numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e4])
@pytest.mark.parametrize("family", CONDITIONED)
def test_the_condition_number_is_the_one_asked_for(family: str, kappa: float) -> None:
    wanted = torch.tensor(kappa, dtype=torch.float64)
    for name in ("mlp-tanh-softmax", "other-order"):
        assert_close(torch.tensor(made(name, family, kappa=kappa).condition).double(), wanted, family, condition=kappa)
    assert made("mlp-tanh-softmax", family, kappa=2 * kappa).condition > 1.5 * kappa
    assert made("sizes-of-one", family, kappa=kappa).condition <= kappa * (1 + 1e-9)  # nothing to spread


def frozen_biases(r: Reparametrization) -> list[Tensor]:
    """The shifts of the fixed modules."""
    parameters = r.problem.model.named_parameters()
    return [p for name, p in parameters if name.endswith("bias") and not p.requires_grad]


@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e4])
@pytest.mark.parametrize("family", SHIFTED)
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "other-order", "cnn"])
def test_shifts_worsen_the_condition_number_by_a_known_factor(name: str, family: str, kappa: float) -> None:
    r = made(name, family, kappa=kappa)
    places = 9 if name == "cnn" else 1  # of a kernel, each with the shift
    shift = places * max(float(shift.square().sum()) for shift in frozen_biases(r))
    assert r.condition <= kappa * (2 + shift) * (1 + 1e-9)
    if name != "cnn":  # its first layer has one channel, which has no condition number
        assert r.condition > 1.01 * kappa


@pytest.mark.parametrize("family", SHIFTED)
def test_shifts_do_not_depend_on_kappa(family: str) -> None:
    a, b, other = (frozen_biases(made("cnn", family, kappa=k, seed=s)) for k, s in ((3.0, 1), (300.0, 1), (3.0, 2)))
    assert a
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(a, other, strict=True))


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.conditioned])
def test_families_without_a_condition_number_ignore_it(family: str) -> None:
    a, b = (made("mlp-tanh-softmax", family, kappa=kappa) for kappa in (1.0, 1e6))
    assert a.kappa == b.kappa == 1.0
    assert torch.equal(a.jacobian, b.jacobian)
    assert (a.condition == pytest.approx(1, rel=1e-12)) == a.linear


# --- models without layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", GENERAL)
def test_general_maps_keep_names_shapes_and_blocks(family: str) -> None:
    for name in ("mlp-tanh-softmax", "other-order", "small-attention", "frozen-first-layer"):
        r = made(name, family)
        shapes = {f"phi.{key}": value.shape for key, value in r.original.parameters.items()}
        assert list(shapes.items()) == [(key, value.shape) for key, value in r.problem.parameters.items()]
        assert list(block_slices(r.problem).values()) == list(block_slices(r.original).values())


@pytest.mark.parametrize("family", GENERAL)
@pytest.mark.parametrize("name", ["softmax-regression", "mlp-relu-softmax", "deep-linear", "pooled-linear", "product-data"])
def test_what_a_model_declares_stays_true_under_a_general_map(name: str, family: str) -> None:
    r = made(name, family)
    assert untrue_facts(r.problem) == ()
    assert r.problem.facts.linear_in_parameters == (r.linear and r.original.facts.linear_in_parameters)
    if name == "deep-linear":
        assert "deep_linear" in untrue_facts(replace(r.problem, facts=r.original.facts)) or family in (
            "diagonal",
            "dense-layers",
        )


@pytest.mark.parametrize("family", GENERAL)
def test_under_a_general_map_there_are_no_layers_but_all_else_works(family: str) -> None:
    r = made("mlp-tanh-softmax", family)
    for of_layers in (kfac, backpack_ggn):
        with pytest.raises(UnsupportedError, match=r"layer statistics cover|BackPACK's SqrtGGNExact does not support"):
            of_layers(r.problem)
    for matrix in (fisher(r.problem), hessian(r.problem)):
        dense = matrix.dense()
        size = float(dense.norm())
        assert_close(matrix.diagonal(), dense.diagonal(), "diagonal", scale=size)
        for per in ("layer", "parameter"):
            for key, part in block_slices(r.problem, per).items():
                assert_close(matrix.blocks(per)[key], dense[part, part], f"block {key}", scale=size)
    step, exact = direction(r.problem), fisher(r.problem).dense()
    size = float(exact.norm())
    assert_close(backpack_ggn_product(r.problem, step), exact @ step, "BackPACK's product", scale=size)
    assert_apart(exact, fisher(r.original).dense(), "the curvature has changed")
