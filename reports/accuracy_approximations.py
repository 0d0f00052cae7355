"""The approximations of the Fisher that the reference offers, each in the form in which it is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import EigenKronecker, KroneckerFactored, LowRank, Problem, QuasiDiagonal, UnsupportedError
from fishergauge.reference.curvature import Per
from fishergauge.suites.benchmarks.of_reference import SOLVES
from fishergauge.suites.seeding import generator
from fishergauge.suites.subject import Target
from fishergauge.suites.wording import plural

Solve = Callable[[Any, Tensor, float, Problem], Tensor]

RANKS = (1, 4, 16)
DRAWS = (1, 8, 64)
TOLERANCE = 1e-10  # of conjugate gradients

KINDS = {
    "whole": "whole matrix",
    "blocks": "exact blocks",
    "diagonal": "diagonals",
    "kronecker": "Kronecker factors",
    "low-rank": "low rank",
    "drawn": "drawn labels",
    "observed": "observed labels",
    "subject": "yours",
}
"""The families of approximations, in words."""


@dataclass(frozen=True, eq=False)
class Approximation:
    """A way to approximate the Fisher.

    Args:
        name: in tables; no white space.
        label: for people.
        kind: one of :data:`KINDS`.
        build: in the form in which it is kept: a matrix, blocks, factors, a diagonal.
        matrix: ``(kept, problem)`` to ``(P, P)``, to be compared; its cost is not counted.
        solve: ``(kept, vector, damping, problem)`` to the damped solution.
        target: what it approximates.
        built: whether building ends with the entries of something; otherwise products alone are at hand.
    """

    name: str
    label: str
    kind: str
    build: Callable[[Problem], Any]
    matrix: Callable[[Any, Problem], Tensor]
    solve: Solve
    target: Target = "fisher"
    built: bool = True


def approximations() -> dict[str, Approximation]:
    """The approximations by name, from the most to the least of the matrix that is kept.

    Example:
        >>> list(approximations())[0], len(approximations())
        ('exact-fisher', 23)
    """
    every = [*_whole(), *_blocks(), *_kronecker(), *_diagonals(), *_low_rank(), *_drawn(), *_observed()]
    return {one.name: one for one in every}


def _itself(matrix: Tensor, _: Problem) -> Tensor:
    return matrix


def _dense(matrix: Any, _: Problem) -> Tensor:
    found: Tensor = matrix.dense()
    return found


def _solved(matrix: Tensor, vector: Tensor, damping: float, _: Problem) -> Tensor:
    return reference.solve_damped(matrix, vector, damping)


def _whole() -> list[Approximation]:
    def by_products(matrix: Any, vector: Tensor, damping: float, _: Problem) -> Tensor:
        return reference.conjugate_gradients(matrix, vector, damping, TOLERANCE)

    return [
        Approximation("exact-fisher", "exact Fisher", "whole", lambda p: reference.fisher(p).dense(), _itself, _solved),
        Approximation("ggn", "GGN", "whole", lambda p: reference.ggn(p).dense(), _itself, _solved, "ggn"),
        Approximation(
            "fisher-products",
            "exact products (CG)",
            "whole",
            reference.fisher,
            _dense,
            by_products,
            built=False,
        ),
    ]


def _blocks() -> list[Approximation]:
    def of(name: str, label: str, per: Per) -> Approximation:
        def matrix(blocks: dict[str, Tensor], problem: Problem) -> Tensor:
            whole = problem.vector.new_zeros(2 * (problem.num_parameters,))
            for key, part in reference.block_slices(problem, per).items():
                whole[part, part] = blocks[key]
            return whole

        def solve(blocks: dict[str, Tensor], vector: Tensor, damping: float, problem: Problem) -> Tensor:
            parts = reference.block_slices(problem, per)
            return torch.cat([reference.solve_damped(blocks[key], vector[part], damping) for key, part in parts.items()])

        return Approximation(name, label, "blocks", lambda p: reference.fisher(p).blocks(per), matrix, solve)

    return [
        of("fisher-layer-blocks", "layer blocks", "layer"),
        of("fisher-parameter-blocks", "parameter blocks", "parameter"),
    ]


def _kronecker() -> list[Approximation]:
    def kfac(name: str, label: str, **options: Any) -> Approximation:
        return Approximation(name, label, "kronecker", lambda p: reference.kfac(p, **options), _dense, _exactly)

    return [
        kfac("kfac-joint", "K-FAC joint"),
        kfac("kfac-separate", "K-FAC separate", bias="separate"),
        kfac("kfac-reduce", "K-FAC reduce", sharing="reduce"),
        Approximation("ekfac-joint", "EKFAC", "kronecker", reference.eigen_kfac, _dense, _in_eigenbasis),
        Approximation(
            "shampoo-fisher",
            "Shampoo of the Fisher",
            "kronecker",
            lambda p: reference.shampoo(p, "fisher"),
            _dense,
            _as_shampoo,
        ),
    ]


def _exactly(matrix: KroneckerFactored, vector: Tensor, damping: float, _: Problem) -> Tensor:
    return matrix.solve_exactly(vector, damping)


def _in_eigenbasis(matrix: EigenKronecker, vector: Tensor, damping: float, _: Problem) -> Tensor:
    return matrix.solve(vector, damping)


def _as_shampoo(matrix: Any, vector: Tensor, damping: float, _: Problem) -> Tensor:
    return SOLVES["shampoo"](matrix, vector, damping)


def _diagonals() -> list[Approximation]:
    def unit_by_unit(matrix: QuasiDiagonal, vector: Tensor, damping: float, _: Problem) -> Tensor:
        return matrix.solve(vector, damping)

    def scaled(scale: Tensor, problem: Problem) -> Tensor:
        return scale * torch.eye(problem.num_parameters, dtype=problem.dtype, device=problem.device)

    return [
        Approximation("quasi-diagonal", "quasi-diagonal", "diagonal", reference.quasi_diagonal, _dense, unit_by_unit),
        Approximation(
            "fisher-diagonal",
            "diagonal",
            "diagonal",
            lambda p: reference.fisher(p).diagonal(),
            lambda diagonal, _: diagonal.diag(),
            lambda diagonal, vector, damping, _: vector / (diagonal + damping),
        ),
        Approximation(
            "scaled-identity",
            "scaled identity",
            "diagonal",
            lambda p: reference.fisher(p).diagonal().mean(),
            scaled,
            lambda scale, vector, damping, _: vector / (scale + damping),
        ),
    ]


def _low_rank() -> list[Approximation]:
    def build(problem: Problem, rank: int) -> LowRank:
        if rank > problem.num_parameters:
            raise UnsupportedError(f"a rank of {rank} is more than the {problem.num_parameters} parameters")
        start = torch.randn(problem.num_parameters, generator=generator("accuracy start", problem.name), dtype=torch.float64)
        return reference.low_rank(reference.fisher(problem), rank, start.to(problem.vector))

    def solve(matrix: LowRank, vector: Tensor, damping: float, _: Problem) -> Tensor:
        return matrix.solve(vector, damping)

    return [
        Approximation(f"low-rank-{rank}", f"rank {rank}", "low-rank", partial(build, rank=rank), _dense, solve)
        for rank in RANKS
    ]


def _draw(problem: Problem, samples: int) -> Any:
    """A Monte-Carlo Fisher, the same in every call."""
    source = generator("accuracy draw", problem.name, samples, device=str(problem.device))
    return reference.monte_carlo_fisher(problem, samples, source)


def _drawn() -> list[Approximation]:
    def listed(samples: int) -> Approximation:
        name, label = f"monte-carlo-{samples}", plural(samples, "draw")
        return Approximation(name, label, "drawn", lambda p: _draw(p, samples).dense(), _itself, _solved)

    def factored(problem: Problem) -> KroneckerFactored:
        return reference.kfac(problem, root_of=_draw(problem, 1))

    return [
        *map(listed, DRAWS),
        Approximation("kfac-drawn-1", "K-FAC, 1 draw", "drawn", factored, _dense, _exactly),
    ]


def _observed() -> list[Approximation]:
    empirical: Sequence[tuple[str, str, Callable[[Problem], Any], Callable[[Any, Problem], Tensor], Solve]] = (
        ("empirical-fisher", "empirical Fisher", lambda p: reference.empirical_fisher(p).dense(), _itself, _solved),
        ("kfac-empirical", "K-FAC, observed", lambda p: reference.kfac(p, "empirical-fisher"), _dense, _exactly),
        ("shampoo", "Shampoo", reference.shampoo, _dense, _as_shampoo),
    )
    return [
        Approximation(name, label, "observed", build, matrix, solve, "empirical-fisher")
        for name, label, build, matrix, solve in empirical
    ]
