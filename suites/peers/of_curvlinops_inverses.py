"""curvlinops: damped inverses, of K-FAC and EKFAC by their factors, of the GGN by CG and LSMR."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import quiet
from fishergauge.suites.peers.of_curvlinops_kfac import BIASES, EKFAC, KFAC, build_of
from fishergauge.suites.peers.of_curvlinops_operator import library, made, operator
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Bias

Inverse = Callable[[Any, float], Any]
ROUNDS = 4
"""CG runs for so many times the number of parameters: its residual is asked to be as small as rounding leaves it."""
LEAST = 20  # linear_cg refuses fewer iterations than its tridiagonalisation, which is not asked for, would have


def peers() -> list[Peer]:
    """Each form of damping with each form of bias, and the iterative inverses."""
    found = []
    for bias in BIASES:
        for name, promise, conversion, inverse in _dampings():
            found.append(_factored(f"kfac-inverse-{name}-{bias}", KFAC, bias, promise, conversion, inverse))
        exact = "KFACInverseLinearOperator of EKFAC: only exact damping is supported"
        found.append(_factored(f"ekfac-inverse-exact-{bias}", EKFAC, bias, exact, "", _exact))
    cg = "CGInverseLinearOperator: the inverse by conjugate gradients, with keywords of linear_cg"
    lsmr = "LSMRInverseLinearOperator: the inverse by LSMR, with keywords of scipy's lsmr"
    for name, promise, inverse in (("cg", cg, _conjugate_gradients), ("lsmr", lsmr, _lsmr)):
        tight = "damping by adding a multiple of its identity operator; tolerances as small as rounding"
        found.append(made(f"ggn-inverse-{name}", _ggn, "ggn", "dense", promise, tight, solve=partial(_solved, inverse)))
    return found


def _dampings() -> list[tuple[str, str, str, Inverse]]:
    where = "KFACInverseLinearOperator"
    factored = "damping is that of each factor: the square root, so that the product of both is the damping that is asked for"
    floor = "min_damping is zero, so that no damping is none"
    return [
        ("exact", f"{where}, use_exact_damping: inverts A kron B + damping I", "", _exact),
        ("heuristic", f"{where}, use_heuristic_damping: pi sqrt(damping) on A, sqrt(damping) / pi on B", floor, _heuristic),
        ("factored", f"{where}: one damping for all input and gradient covariances", factored, _of_factors),
    ]


def _factored(name: str, kind: str, bias: Bias, promise: str, conversion: str, inverse: Inverse) -> Peer:
    build = build_of(kind, "type-2", "expand", bias, check=False)
    structure: Any = "kronecker" if kind == KFAC else "eigen-kronecker"
    no_promise = ["T25"] if "factored" in name else []  # one number for both factors is not said to balance them
    if "factored-separate" in name:
        no_promise.append("T26-solve-limit")  # the one factor of a bias is damped by the square root, as documented
    solve = partial(_solved, inverse)
    return made(name, build, "ggn", structure, promise, conversion, bias=bias, solve=solve, disclaims=no_promise)


def _solved(inverse: Inverse, matrix: Any, vector: Tensor, damping: float) -> Tensor:
    with quiet():
        result: Tensor = inverse(matrix, damping) @ vector
    return result


def _exact(matrix: Any, damping: float) -> Any:
    return library().KFACInverseLinearOperator(matrix, damping=damping, use_exact_damping=True)


def _heuristic(matrix: Any, damping: float) -> Any:
    return library().KFACInverseLinearOperator(matrix, damping=damping, use_heuristic_damping=True, min_damping=0.0)


def _of_factors(matrix: Any, damping: float) -> Any:
    return library().KFACInverseLinearOperator(matrix, damping=damping**0.5)


def _ggn(problem: Problem) -> Any:
    return operator("GGNLinearOperator", problem, check_deterministic=False)


def damped(matrix: Any, damping: float) -> Any:
    """The sum of an operator and a multiple of the identity, by the library's own algebra."""
    from curvlinops.examples import IdentityLinearOperator

    shape = [tuple(size) for size in matrix._in_shape]
    return matrix + damping * IdentityLinearOperator(shape, matrix.device, matrix.dtype)


def _conjugate_gradients(matrix: Any, damping: float) -> Any:
    limits = torch.finfo(matrix.dtype)
    small = {"tolerance": limits.eps, "eps": limits.tiny, "stop_updating_after": limits.tiny}
    return library().CGInverseLinearOperator(damped(matrix, damping), max_iter=max(LEAST, ROUNDS * matrix.shape[0]), **small)


def _lsmr(matrix: Any, damping: float) -> Any:
    size = matrix.shape[0]
    return library().LSMRInverseLinearOperator(damped(matrix, damping), atol=0, btol=0, conlim=0, maxiter=20 * size)
