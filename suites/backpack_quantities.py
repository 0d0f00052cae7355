"""The quantities of BackPACK, and what each must equal by another route."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from fishergauge.reference import Curvature, Problem, empirical_fisher, ggn, hessian
from fishergauge.reference import backpack as route
from fishergauge.reference.oracle import oracle_empirical_fisher, oracle_ggn, oracle_hessian
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.dense import Dense
from fishergauge.suites.precision import converted
from fishergauge.suites.seeding import generator

Matrix = Callable[[Problem], Curvature]
ORACLES = {"ggn": oracle_ggn, "hessian": oracle_hessian, "empirical_fisher": oracle_empirical_fisher}
ROUTES: dict[str, dict[str, Matrix]] = {
    "the reference": {"ggn": ggn, "hessian": hessian, "empirical_fisher": empirical_fisher},
    "the oracle": {name: lambda p, oracle=oracle: Dense(p, oracle(p)) for name, oracle in ORACLES.items()},  # type: ignore[misc]
}


@dataclass(frozen=True)
class Quantity:
    """A quantity of BackPACK.

    Args:
        extension: BackPACK's name for it, in refusals.
        matrix: of which it is the whole or a part, by its name in :data:`ROUTES`.
        measured: computes it by BackPACK. The function is looked up at every call, so that a defect can be planted.
        part: takes it from the matrix.
    """

    extension: str
    matrix: str
    measured: Callable[[Problem], Tensor]
    part: Callable[[Problem, Matrix], Tensor]


def vectors(problem: Problem) -> Tensor:
    """Two vectors to multiply with, ``(P, 2)``: numbers of float32, so that they are the same in every precision."""
    draws = torch.randn(problem.num_parameters, 2, generator=generator("backpack", problem.name), dtype=torch.float64)
    return draws.float().to(problem.dtype)


def _dense(problem: Problem, matrix: Matrix) -> Tensor:
    return matrix(problem).dense()


def _diagonal(problem: Problem, matrix: Matrix) -> Tensor:
    return matrix(problem).diagonal()


def _products(problem: Problem, matrix: Matrix) -> Tensor:
    return matrix(problem) @ vectors(problem)


def _output_factors(problem: Problem, matrix: Matrix) -> Tensor:
    """What the first Kronecker factor is for each parameter: the block of the bias of its layer, one after the other."""
    blocks = matrix(with_biases(problem)).blocks("parameter")
    return torch.cat([blocks[f"{key.rpartition('.')[0]}.bias".lstrip(".")].reshape(-1) for key in problem.parameters])


def with_biases(problem: Problem) -> Problem:
    """The problem with a bias to be trained in every layer; it is zero where there was none."""
    model = copy.deepcopy(problem.model)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            if layer.bias is None:
                layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
            layer.bias.requires_grad_()
    return replace(problem, model=model)


QUANTITIES = {
    "ggn": Quantity("SqrtGGNExact", "ggn", lambda p: route.backpack_ggn(p), _dense),
    "ggn_diagonal": Quantity("DiagGGNExact", "ggn", lambda p: route.backpack_ggn_diagonal(p), _diagonal),
    "kflr": Quantity(
        "KFLR",
        "ggn",
        lambda p: torch.cat([first.reshape(-1) for first, *_ in route.backpack_kflr(p).values()]),
        _output_factors,
    ),
    "empirical_fisher": Quantity("BatchGrad", "empirical_fisher", lambda p: route.backpack_empirical_fisher(p), _dense),
    "empirical_fisher_diagonal": Quantity(
        "SumGradSquared", "empirical_fisher", lambda p: route.backpack_empirical_fisher_diagonal(p), _diagonal
    ),
    "hessian_diagonal": Quantity("DiagHessian", "hessian", lambda p: route.backpack_hessian_diagonal(p), _diagonal),
    "hessian_product": Quantity("products", "hessian", lambda p: route.backpack_hessian_product(p, vectors(p)), _products),
    "ggn_product": Quantity("products", "ggn", lambda p: route.backpack_ggn_product(p, vectors(p)), _products),
}
PRODUCTS = ("hessian_product", "ggn_product")
EXTENSIONS = tuple(name for name in QUANTITIES if name not in PRODUCTS)


def assert_agrees(problem: Problem, found: Tensor, expected: Tensor, claim: str, scale: float | None = None) -> None:
    """Raise ``AssertionError`` unless ``found`` is as expected up to rounding, in the dtype of the problem, without a graph."""
    assert found.dtype == problem.dtype, f"{claim}: {found.dtype} of a problem in {problem.dtype}"
    assert not found.requires_grad, f"{claim}: it carries a graph"
    assert_close(found, expected, claim, scale=scale, size=problem.num_parameters)


def assert_routes_meet(name: str, problem: Problem, routes: tuple[str, ...]) -> None:
    """Raise ``AssertionError`` unless BackPACK's quantity is that of other routes in float64, at the same numbers."""
    quantity = QUANTITIES[name]
    found, double = quantity.measured(problem), converted(problem, torch.float64)
    if name in ("ggn", "empirical_fisher"):
        assert torch.equal(found, found.T), f"{name}: not exactly symmetric"
    for other in routes:
        matrices = {key: cache(matrix) for key, matrix in ROUTES[other].items()}
        expected = quantity.part(double, matrices[quantity.matrix])
        # rounding is that of the summands: of GGN and residual part in a Hessian, of rows times vectors in a product
        scale = float(expected.norm())
        if quantity.matrix == "hessian":
            scale = max(scale, float(quantity.part(double, matrices["ggn"]).norm()))
        if name in PRODUCTS:
            sizes = [float(matrices[matrix](double).dense().norm()) for matrix in (quantity.matrix, "ggn")]
            scale = max(sizes) * float(vectors(double).norm())
        assert_agrees(problem, found, expected, f"BackPACK's {name} = that of {other}", scale)
