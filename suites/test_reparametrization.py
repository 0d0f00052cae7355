"""A model in other coordinates is the same function: outputs, derivatives and curvature transform as the chain rule says."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import (
    FAMILIES,
    Curvature,
    Problem,
    ProblemError,
    Reparametrization,
    UndefinedError,
    UnsupportedError,
    fisher,
    ggn,
    gradient,
    hessian,
    reparametrized,
)
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.devices import devices
from fishergauge.suites.reparametrized_cases import CELLS, CONDITIONED, PROBLEMS, direction, made, matrix_of, original
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import catalogue_problem

every_family = pytest.mark.parametrize("family", FAMILIES)
Check = Callable[[Reparametrization], None]


def norm(jacobian: Tensor) -> float:
    """The largest singular value."""
    return float(torch.linalg.matrix_norm(jacobian, 2))


def same_point(r: Reparametrization) -> None:
    phi = r.problem.vector.double()
    theta = r.jacobian @ phi if r.coordinates is None else r.coordinates(phi)
    assert_close(theta.to(r.problem.dtype), r.original.vector, "T(phi) = theta", condition=r.condition)


def same_outputs(r: Reparametrization) -> None:
    size = max(1.0, float(r.original.outputs.double().norm()))
    assert_close(r.problem.outputs, r.original.outputs, "outputs", condition=r.condition, scale=size)


def chain_rule(r: Reparametrization) -> None:
    slope = gradient(r.original).double()
    size = norm(r.jacobian) * float(slope.norm())
    assert_close(gradient(r.problem), r.jacobian.T @ slope, "g_phi = DT' g_theta", condition=r.condition, scale=size)


def congruent(quantity: Callable[[Problem], Curvature]) -> Check:
    def check(r: Reparametrization) -> None:
        try:
            matrix = matrix_of(quantity, r.original).double()
        except UndefinedError:
            return
        size = max(float(matrix.norm()), float(matrix_of(ggn, r.original).norm())) * norm(r.jacobian) ** 2
        expected = r.jacobian.T @ matrix @ r.jacobian
        found = quantity(r.problem).dense()
        assert_close(found, expected, f"{quantity.__name__} = DT' . DT", condition=r.condition, scale=size)

    return check


def second_derivatives(r: Reparametrization) -> None:
    if r.linear:
        congruent(hessian)(r)


def moved_alike(r: Reparametrization) -> None:
    """A step in phi and what it is in theta lead to the same outputs, at any length."""
    step, length = direction(r.problem), 0.25
    there = r.problem.at(r.problem.vector + length * step).outputs
    here = r.original.at(r.original.vector.double() + length * r.push_back(step, length)).outputs
    size = max(1.0, float(here.double().norm()))
    assert_close(there, here, "outputs after a step", condition=r.condition * norm(r.jacobian), scale=size)


CHECKS: dict[str, Check] = {
    "same-point": same_point,
    "same-outputs": same_outputs,
    "chain-rule": chain_rule,
    "fisher": congruent(fisher),
    "ggn": congruent(ggn),
    "hessian": second_derivatives,
    "moved-alike": moved_alike,
}


@pytest.mark.parametrize(("name", "family"), CELLS)
def test_a_model_in_other_coordinates_is_the_same_function(name: str, family: str) -> None:
    r = made(name, family)
    assert (r.family, r.kappa) == (family, 10.0 if FAMILIES[family].conditioned else 1.0)
    assert r.linear == FAMILIES[family].linear
    for check in CHECKS.values():
        check(r)


SINGLE = {"mlp-tanh-softmax", "mlp-relu-softmax", "cnn", "conv1d-tagging", "small-attention"}


@pytest.mark.parametrize(("name", "family"), [cell for cell in CELLS if cell[0] in SINGLE])
def test_in_single_precision_it_is_so_up_to_rounding(name: str, family: str) -> None:
    r = made(name, family, torch.float32)
    assert r.problem.dtype == torch.float32
    for check in CHECKS.values():
        check(r)


# --- the checks see a wrong map ----------------------------------------------------------------------------------

DERIVATIVES = {"chain-rule", "fisher", "ggn", "hessian", "moved-alike"}
Plant = Callable[[Reparametrization], Reparametrization]


def _with_jacobian(change: Callable[[Tensor], Tensor]) -> Plant:
    return lambda r: replace(r, jacobian=change(r.jacobian))


WRONG: dict[str, tuple[Plant, set[str]]] = {
    "the inverse": (_with_jacobian(torch.linalg.inv), {"same-point", *DERIVATIVES}),
    "the transposed map": (_with_jacobian(lambda jacobian: jacobian.T), {"same-point", *DERIVATIVES}),
    "off by one per cent": (_with_jacobian(lambda jacobian: 1.01 * jacobian), {"same-point", *DERIVATIVES}),
    "nothing mapped": (lambda r: replace(r, problem=r.original), {"same-point", *DERIVATIVES}),
    "another function": (lambda r: replace(r, problem=r.problem.at(1.1 * r.problem.vector)), set(CHECKS)),
}


@pytest.mark.parametrize("defect", WRONG)
@pytest.mark.parametrize("family", ["affine", "joint-kronecker", "dense"])
def test_a_wrong_map_is_seen_by_every_check_that_can(family: str, defect: str) -> None:
    plant, seen = WRONG[defect]
    wrong, red = plant(made("mlp-tanh-softmax", family)), set()
    for key, check in CHECKS.items():
        try:
            check(wrong)
        except ClaimViolated:
            red.add(key)
    assert red == seen


# --- draws -------------------------------------------------------------------------------------------------------


@every_family
def test_a_seed_names_a_map(family: str) -> None:
    a, b, other = (made("mlp-tanh-softmax", family, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a.jacobian, b.jacobian)
    assert torch.equal(a.problem.vector, b.problem.vector)
    drawn = family not in ("scalar", "scaling", "unit-scaling")
    assert torch.equal(a.jacobian, other.jacobian) != drawn


def not_commuting(a: Tensor, b: Tensor) -> float:
    """How far two maps are from having the same singular vectors on both sides."""
    deviations = [(x @ y - y @ x).norm() / (x @ y).norm() for x, y in ((a @ a.T, b @ b.T), (a.T @ a, b.T @ b))]
    return float(torch.stack(deviations).max())


@pytest.mark.parametrize("family", CONDITIONED)
def test_singular_vectors_do_not_depend_on_kappa(family: str) -> None:
    a, b, other = (made("mlp-tanh-softmax", family, kappa=k, seed=s).jacobian for k, s in ((3.0, 1), (300.0, 1), (300.0, 2)))
    assert not_commuting(a, b) < 1e-11
    if family not in ("scaling", "unit-scaling", "diagonal"):  # diagonal matrices commute anyhow
        assert not_commuting(a, other) > 1e-3


# --- what stays as it was ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "family"), [c for c in CELLS if c[0] in {"mlp-tanh-softmax", "frozen-first-layer", "cnn"}])
def test_the_original_is_untouched_and_shares_nothing(name: str, family: str) -> None:
    problem = catalogue_problem(name)
    before = state_of(problem)
    r = reparametrized(problem, family)
    with torch.no_grad():
        for tensor in (*r.problem.model.parameters(), *r.problem.model.buffers()):
            tensor.zero_()
    assert_untouched(problem, before)
    assert r.original is problem
    assert not any(module.training for module in r.problem.model.modules())
    assert (r.problem.loss, r.problem.name, r.problem.num_parameters) == (problem.loss, problem.name, problem.num_parameters)


@every_family
def test_a_mode_of_its_own_stays_with_each_module(family: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4).eval(), nn.Dropout(0.0), nn.Linear(4, 2)).double()
    inputs = torch.randn(5, 3, generator=generator("modes")).double()
    other = reparametrized(Problem(model, nn.MSELoss(), [(inputs, torch.zeros(5, 2).double())]), family).problem.model
    assert other.training
    modes = [module.training for module in other.modules() if isinstance(module, nn.BatchNorm1d | nn.Dropout)]
    assert modes == [False, True]
    assert sum(not module.training for module in other.modules()) == 1


@pytest.mark.parametrize("device", devices())
@every_family
def test_everything_is_where_the_problem_is(family: str, device: str) -> None:
    r = reparametrized(catalogue_problem("mlp-tanh-softmax", device=device), family)
    placed = (r.jacobian, r.problem.vector, r.problem.outputs, r.push_back(r.problem.vector, 0.5))
    assert {tensor.device.type for tensor in placed} == {device}
    assert r.jacobian.dtype == torch.float64
    chain_rule(r)


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_family_without_a_map_for_the_model_says_why(name: str) -> None:
    reasons = {}
    for family in FAMILIES:
        try:
            made(name, family)
        except UnsupportedError as error:
            reasons[family] = str(error)
    assert set(reasons) == PROBLEMS[name]
    for reason in reasons.values():
        assert any(words in reason for words in ("the model has no", "enter no linear layer", "these layers have none"))


@pytest.mark.parametrize("kappa", [0.5, 0.0, -1.0, math.inf, math.nan])
def test_a_condition_number_that_makes_no_sense_is_refused(kappa: float) -> None:
    with pytest.raises(ProblemError, match="at least 1 and finite"):
        reparametrized(original("mlp-tanh-softmax"), "dense", kappa)


@pytest.mark.parametrize("family", ["kronecker", "affine", "dense", "diagonal", "scaling", "pre-activations"])
def test_a_condition_number_beyond_the_precision_is_refused(family: str) -> None:
    with pytest.raises(ProblemError, match="choose a smaller"):
        made("mlp-tanh-softmax", family, torch.float32, 1e200)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProblemError, match=r"no family 'linear'; choose from permutation, .*spherical"):
        made("mlp-tanh-softmax", "linear")
