"""Problems in other coordinates for the tests of reparametrisations, and which families have no map for which of them."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from fishergauge.reference import FAMILIES, Curvature, Problem, Reparametrization, reparametrized
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import catalogue_problem

LAYERWISE = [name for name, family in FAMILIES.items() if family.layerwise]
GENERAL = [name for name, family in FAMILIES.items() if not family.layerwise]
NONLINEAR = [name for name, family in FAMILIES.items() if not family.linear]
SHIFTED = ("unit-affine", "inputs-affine", "hidden-affine", "affine")
CONDITIONED = [name for name, family in FAMILIES.items() if family.conditioned and name not in SHIFTED]

OF_INPUTS = frozenset({"scaling", "inputs-linear", "inputs-affine"})
WITHOUT_BIAS = frozenset({*SHIFTED, "joint-kronecker"})
NONE: frozenset[str] = frozenset()

PROBLEMS: dict[str, frozenset[str]] = {
    "mlp-tanh-softmax": NONE,
    "mlp-tanh-gaussian-sum": NONE,
    "mlp-relu-softmax": NONE,
    "other-order": NONE,
    "sizes-of-one": NONE,
    "reused-layer": NONE,
    "pooled-positions": NONE,
    "masked-labels": NONE,
    "class-weights": NONE,
    "cnn": NONE,
    "cnn-circular": NONE,
    "signal-convolution": NONE,
    "softmax-regression": WITHOUT_BIAS,
    "mlp-no-bias": WITHOUT_BIAS,
    "conv-padding-sum": frozenset({"hidden-affine", "joint-kronecker"}),
    "conv1d-tagging": frozenset({"joint-kronecker"}),
    "frozen-first-layer": OF_INPUTS,
    "embedding": OF_INPUTS,
    "small-attention": OF_INPUTS,
    "recurrent": OF_INPUTS,
    "tied-autoencoder": frozenset(LAYERWISE),
}
"""The problems by name, and the families that have no map for them."""

CELLS = [(name, family) for name, missing in PROBLEMS.items() for family in FAMILIES if family not in missing]


@cache
def original(name: str, dtype: torch.dtype = torch.float64) -> Problem:
    """A problem of the catalogue, one and the same for all tests."""
    return catalogue_problem(name, dtype=dtype)


@cache
def matrix_of(quantity: Callable[[Problem], Curvature], problem: Problem) -> Tensor:
    """A matrix of a problem, ``(P, P)``."""
    return quantity(problem).dense()


def made(name: str, family: str, dtype: torch.dtype = torch.float64, kappa: float = 10.0, seed: int = 1) -> Reparametrization:
    """A problem of the catalogue in coordinates of a family."""
    return reparametrized(original(name, dtype), family, kappa, seed)


def direction(problem: Problem) -> Tensor:
    """A random step of length one, ``(P,)``; the same in every precision up to rounding."""
    draws = torch.randn(problem.num_parameters, generator=generator("step", problem.name), dtype=torch.float64)
    step: Tensor = (draws / draws.norm()).to(problem.dtype)
    return step
