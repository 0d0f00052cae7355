"""Damped inverses that are none."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, ggn
from fishergauge.reference.kfac import Kronecker, KroneckerFactored, kfac, pi_of
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched
from fishergauge.suites.subject import Solve


def shifted(matrix: Tensor, damping: float) -> Tensor:
    """M + lambda I."""
    return matrix + damping * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def solved(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The right damped solution, by eigenvalues; the pseudo-inverse without damping."""
    inverse = torch.linalg.pinv(matrix, hermitian=True) if damping == 0 else torch.linalg.inv(shifted(matrix, damping))
    solution: Tensor = inverse @ vector
    return solution


def unchanged(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The gradient handed back."""
    return vector


def inverse_root(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """(M + lambda I)^(-1/2) v."""
    values, basis = torch.linalg.eigh(shifted(matrix, damping))
    result: Tensor = basis @ ((basis.T @ vector) / values.clamp(min=1e-12).sqrt())
    return result


def transposed_factor(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """(L' L)^-1 v where (L L')^-1 v belongs."""
    factor = torch.linalg.cholesky(shifted(matrix, max(damping, 1e-12)))
    half = torch.linalg.solve_triangular(factor.T, vector[:, None], upper=True)
    result: Tensor = torch.linalg.solve_triangular(factor, half, upper=False)[:, 0]
    return result


def with_damping(change: Callable[[float], float]) -> Solve:
    """The damping changed on its way in."""
    return lambda matrix, vector, damping: solved(matrix, vector, change(damping))


def relative(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The damping multiplied by the mean of the diagonal."""
    return solved(matrix, vector, damping * float(matrix.diagonal().mean()))


def of_diagonal(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The inverse of the diagonal alone."""
    return vector / (matrix.diagonal() + max(damping, 1e-12))


def negated(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The step in the place of the solution."""
    return -solved(matrix, vector, damping)


def multiplied(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The product in the place of the solution."""
    return shifted(matrix, damping) @ vector


def single(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """Solved in float32."""
    return solved(matrix.float(), vector.float(), damping).to(vector.dtype)


def three_iterations(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """Conjugate gradients stopped after three iterations."""
    damped, solution, residual = shifted(matrix, damping), torch.zeros_like(vector), vector.clone()
    direction = residual.clone()
    for _ in range(3):
        image, size = damped @ direction, residual @ residual
        length = size / (direction @ image).clamp(min=1e-300)
        solution, residual = solution + length * direction, residual - length * image
        direction = residual + (residual @ residual) / size.clamp(min=1e-300) * direction
    return solution


Balance = Callable[[Kronecker], float]


def sum_of_entries(piece: Kronecker) -> float:
    """Pi from the sum of all entries in the place of the trace."""
    inner = float(piece.input_factor.abs().sum() / len(piece.input_factor))
    outer = float(piece.output_factor.abs().sum() / len(piece.output_factor))
    return math.sqrt(inner / outer) if inner > 0 and outer > 0 else 1.0


def upside_down(piece: Kronecker) -> float:
    """1 / pi."""
    return 1 / pi_of(piece.input_factor, piece.output_factor)


def factored_damping(balance: Balance, root: bool = True) -> Solve:
    """Both factors damped, balanced in that way; ``root=False``: by lambda itself, not its root."""

    def solve(matrix: KroneckerFactored, vector: Tensor, damping: float) -> Tensor:
        result, amount = torch.zeros_like(vector), math.sqrt(damping) if root else damping
        for piece in matrix.kronecker:
            if damping == 0:
                result[piece.index] = piece.solve_exactly(vector[piece.index], 0.0)
                continue
            pi = balance(piece)
            half = torch.linalg.solve(shifted(piece.output_factor, amount / pi), vector[piece.index])
            result[piece.index] = torch.linalg.solve(shifted(piece.input_factor, amount * pi), half.T).T
        return result

    return solve


def dense_ggn() -> Callable[[Problem], Any]:
    """The right GGN."""
    return lambda problem: ggn(problem).dense()


def dense_fisher() -> Callable[[Problem], Any]:
    """The right Fisher."""
    return lambda problem: fisher(problem, kind=2).dense()


def right_kfac() -> Callable[[Problem], Any]:
    """The right K-FAC."""
    return lambda problem: kfac(problem, "ggn", "joint")


def dense(id: str, title: str, source: str, solve: Solve, sees: tuple[str, ...] = ("T26-solve",)) -> Defect:
    """A right GGN with a wrong ``solve``."""
    return unmatched(id, title, source, dense_ggn, Declaration(target="ggn", solve=solve), sees=sees)


def factored(id: str, title: str, source: str, solve: Solve, sees: tuple[str, ...] = ("T25",)) -> Defect:
    """A right K-FAC with a wrong ``solve``."""
    declared = Declaration("ggn", "kronecker", bias="joint", solve=solve, claims=("T25",))
    return unmatched(id, title, source, right_kfac, declared, sees=sees)


SOLVING: tuple[Defect, ...] = (
    factored("D40", "pi from the sum of all entries", "google-deepmind/kfac-jax 279be80", factored_damping(sum_of_entries)),
    dense("D42", "the preconditioner returns the gradient unchanged", "several optimisers", unchanged),
    dense("D44", "the exponent -1/2 for -1", "a Shampoo implementation", inverse_root),
    dense("D48", "e L for e L'", "aleximmer/Laplace#268", transposed_factor),
    unmatched(
        "D49",
        "a variance passed as standard deviation",
        "aleximmer/Laplace 32b6aad",
        dense_fisher,
        Declaration(solve=with_damping(math.sqrt)),
        sees=("T26-solve",),
    ),
    dense("P210", "delta P for delta P delta: the damping squared", "aleximmer/Laplace 5d721a1", with_damping(lambda d: d * d)),
    dense("P211", "the damping ignored", "likely", with_damping(lambda d: 0.0)),
    dense("P212", "the damping added twice", "likely", with_damping(lambda d: 2 * d)),
    dense("P213", "the damping taken as relative", "likely", relative),
    dense("P214", "the inverse of the diagonal alone", "likely", of_diagonal),
    dense("P215", "the sign of the step left in", "likely", negated),
    dense("P216", "the product for the solution", "likely", multiplied),
    dense("P217", "solved in float32", "likely", single),
    dense("P218", "conjugate gradients stopped after three iterations", "likely", three_iterations),
    factored("P219", "pi upside down", "likely", factored_damping(upside_down)),
    factored("P220", "each factor damped by lambda, not its root", "likely", factored_damping(lambda piece: 1.0, root=False)),
)
