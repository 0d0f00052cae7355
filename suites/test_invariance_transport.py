"""A finished matrix that is transported to other coordinates passes whatever it is; computed anew there it does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import FAMILIES, Problem, Reparametrization, fisher
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum_cases import comparer, families_of, row_of, small

MODELS = ("softmax-reduced", "linear-gaussian", "mlp")
LINEAR = [name for name, family in FAMILIES.items() if family.linear]
Build = Callable[[Problem], Tensor]


def _random(problem: Problem) -> Tensor:
    """Positive definite, with nothing to do with the problem; drawn again in every coordinates."""
    size = problem.num_parameters
    draws = torch.randn(size, 2 * size, generator=generator("random matrix", float(problem.vector[0])), dtype=torch.float64)
    return (draws @ draws.T / (2 * size)).to(problem.dtype)


BUILDS: dict[str, Build] = {
    "identity": lambda problem: torch.eye(problem.num_parameters, dtype=problem.dtype),
    "random": _random,
    "diagonal": lambda problem: fisher(problem).diagonal().diag(),
    "root of the diagonal": lambda problem: fisher(problem).diagonal().sqrt().diag(),
    "damped Fisher": lambda problem: (F := fisher(problem).dense()) + 1e-3 * F.diagonal().mean() * torch.eye(len(F)).to(F),
}
ANEW: dict[str, set[str]] = {
    "identity": {"permutation", "orthogonal"},
    "random": set(),
    "diagonal": {"permutation", "scalar", "scaling", "diagonal", "unit-scaling"},
    "root of the diagonal": {"permutation"},
    "damped Fisher": {"permutation", "scalar", "orthogonal"},
}
"""The families under which the same matrices keep their steps if they are computed anew."""


def computed_anew(name: str) -> Approximation:
    """Sold as invariant to everything."""
    return Approximation(f"{name}-anew".replace(" ", "-"), name, lambda problem, _: BUILDS[name](problem), "all")


def transported(name: str, change: Reparametrization) -> Approximation:
    """The matrix at theta and, at phi, its congruence T' M T."""
    finished, T = BUILDS[name](change.original), change.jacobian

    def build(problem: Problem, original: Problem) -> Tensor:
        return finished if problem is original else T.T @ finished @ T

    return replace(computed_anew(name), name=f"{name}-transported".replace(" ", "-"), build=build)


CELLS = [(model, family) for model in MODELS for family in LINEAR if family in families_of(small(model).problem)]


@pytest.mark.parametrize("kappa", [1e2, 1e4])
@pytest.mark.parametrize(("model", "family"), CELLS)
def test_transported_any_matrix_passes(model: str, family: str, kappa: float) -> None:
    compared = comparer(model, family, kappa)
    for name in BUILDS:
        for deviation in (
            compared(transported(name, compared.change)).undamped(),
            compared(transported(name, compared.change)).in_parameters(),
        ):
            assert deviation.measured <= deviation.bound
            assert deviation.bound < 1e-2


@pytest.mark.parametrize(("model", "family"), CELLS)
def test_computed_anew_it_passes_in_its_own_group_only(model: str, family: str) -> None:
    compared = comparer(model, family)
    for name, own in ANEW.items():
        deviation = compared(computed_anew(name)).undamped()
        if family in own:
            assert deviation.measured <= deviation.bound, name
        else:
            assert deviation.measured > max(1e-3, 1e3 * deviation.bound), name


@pytest.mark.parametrize("name", BUILDS)
def test_the_kit_calls_a_matrix_computed_anew_violated(name: str) -> None:
    row = row_of(small("mlp"), "kronecker", computed_anew(name))
    assert (row.predicted, row.verdict) == ("invariant", "violated")
