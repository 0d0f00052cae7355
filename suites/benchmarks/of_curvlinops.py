"""curvlinops: linear operators of the GGN, the Hessian and the empirical Fisher, K-FAC and EKFAC by hooks.

Its convention is the one here: the curvature of the loss with its own reduction, parameters in the order given.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.adapters import Peer, either, matrix_too_large, not_classification, not_layered
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.task import DAMPING, vector_of
from fishergauge.suites.peers.adapting import own_model, quiet, trained

SUMS = {
    "fisher": "GGNLinearOperator",  # of cross-entropy they are one matrix
    "ggn": "GGNLinearOperator",
    "hessian": "HessianLinearOperator",
    "empirical-fisher": "EFLinearOperator",
}
FACTORED = {
    "kfac": ("KFACLinearOperator", "type-2", False),
    "kfac-separate": ("KFACLinearOperator", "type-2", True),
    "kfac-empirical": ("KFACLinearOperator", "empirical", False),
    "eigen-kfac": ("EKFACLinearOperator", "type-2", False),
    "eigen-kfac-separate": ("EKFACLinearOperator", "type-2", True),
}
COLUMN_BYTES = 2**27
"""Room for the outputs of the widest layer in products with several columns at a time: more is slower, and no less memory."""

_made = Peer("curvlinops", "curvlinops")


def implementations() -> list[Implementation]:
    """Its operators: products of all, dense ones by products with unit vectors, and the factors of K-FAC."""
    found = []
    for quantity, kind in SUMS.items():
        build = partial(_sum, kind)
        found += [
            _made(quantity, "dense", partial(_dense, build), either(not_classification, matrix_too_large)),
            _made(quantity, "product", partial(_product, build), not_classification),
            _made(quantity, "first-product", partial(_first_product, build), not_classification),
        ]
    layered = either(not_classification, not_layered)
    for quantity, (kind, fisher, separate) in FACTORED.items():
        build = partial(_factored, kind, fisher, separate)
        found += [
            _made(quantity, "dense", partial(_dense, build), either(layered, matrix_too_large)),
            _made(quantity, "product", partial(_product, build), layered),
            _made(quantity, "first-product", partial(_first_product, build), layered),
            _made(quantity, "solve", partial(_solve, build), layered),
        ]
    for quantity, fisher in (("kfac", "type-2"), ("kfac-empirical", "empirical")):
        for separate in (False, True):
            build = partial(_factored, "KFACLinearOperator", fisher, separate)
            variant = "separate" if separate else ""
            found.append(_made(quantity, "factors", partial(_factors, build), layered, variant, _pairs))
    return found


def _library() -> Any:
    with quiet():
        import curvlinops
    return curvlinops


def _sum(kind: str, problem: Problem, model: Any) -> Any:
    """An operator of the whole matrix; without the options that would traverse the data once more."""
    data = [(problem.inputs, problem.targets)]
    operator = getattr(_library(), kind)
    return operator(model, problem.loss, trained(model), data, check_deterministic=False, num_data=problem.num_samples)


def _factored(kind: str, fisher: str, separate: bool, problem: Problem, model: Any) -> Any:
    """K-FAC or EKFAC, its factors not yet computed."""
    return getattr(_library(), kind)(
        model,
        problem.loss,
        trained(model),
        [(problem.inputs, problem.targets)],
        check_deterministic=False,
        fisher_type=fisher,
        separate_weight_and_bias=separate,
        num_data=problem.num_samples,
        num_per_example_loss_terms=1,
    )


def _dense(build: Callable[[Problem, Any], Any], problem: Problem) -> Call:
    model, size = own_model(problem), problem.num_parameters
    widest = max([problem.inputs[0].numel(), *(len(parameter) for parameter in trained(model))])
    columns = max(1, COLUMN_BYTES // (problem.num_samples * widest * problem.dtype.itemsize))
    _library()

    def dense() -> Tensor:
        with quiet():
            operator = build(problem, model)
            unit = torch.eye(size, dtype=problem.dtype, device=problem.device)
            return torch.cat([operator @ part for part in torch.split(unit, columns, 1)], 1)

    return dense


def _product(build: Callable[[Problem, Any], Any], problem: Problem) -> Call:
    model, vector = own_model(problem), vector_of(problem)
    operator = build(problem, model)
    with quiet():
        _ = operator @ vector  # factors are computed, and functions are transformed, at the first product

    def product() -> Tensor:
        with quiet():
            result: Tensor = operator @ vector
            return result

    return product


def _first_product(build: Callable[[Problem, Any], Any], problem: Problem) -> Call:
    model, vector = own_model(problem), vector_of(problem)
    _library()

    def product() -> Tensor:
        with quiet():
            result: Tensor = build(problem, model) @ vector
            return result

    return product


def _solve(build: Callable[[Problem, Any], Any], problem: Problem) -> Call:
    model, vector = own_model(problem), vector_of(problem)
    operator = build(problem, model)
    _ = operator @ vector
    inverse = _library().KFACInverseLinearOperator

    def solve() -> Tensor:  # a fresh inverse each time, as it keeps the eigenvectors of the factors
        result: Tensor = inverse(operator, damping=DAMPING, use_exact_damping=True) @ vector
        return result

    return solve


def _factors(build: Callable[[Problem, Any], Any], problem: Problem) -> Call:
    model = own_model(problem)
    _library()

    def factors() -> Any:
        operator = build(problem, model)
        operator.compute_kronecker_factors()
        return operator._input_covariances, operator._gradient_covariances

    return factors


def _pairs(problem: Problem, factors: Any) -> Tensor:
    """(G, A) in the order of the parameters; a joint bias is the last row and column of A."""
    inputs, gradients = factors
    pairs = []
    for name, parameter in problem.parameters.items():
        if name.endswith("weight"):
            owner, size = name.rpartition(".")[0], parameter[0].numel()
            pairs.append((gradients[owner], inputs[owner][:size, :size]))
    return factor_pairs(pairs)
