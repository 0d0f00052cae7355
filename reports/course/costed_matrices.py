"""Costs of what is kept as matrices: dense ones and diagonal blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Curvature, Problem, block_slices, solve_damped
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reports.course.costed import Costed, Count
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes
from fishergauge.suites.benchmarks.scaling_theory import layered_blocks, layered_dense
from fishergauge.suites.matrix import densified
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation


def dense_matrices() -> list[Costed]:
    """Fisher, GGN, Hessian, empirical and Monte-Carlo Fisher as P x P numbers."""

    def made(name: str, label: str, form: Callable[[Problem], Curvature], forming: Count, definite: bool = True) -> Costed:
        return Costed(
            name,
            label,
            "dense",
            lambda p: form(p).dense(),
            torch.matmul,
            solve_damped if definite else _solve_indefinite,
            torch.numel,
            lambda s: s.parameters**2,
            forming,
            lambda s: s.parameters**3 / 3 if definite else 2 * s.parameters**3 / 3,
        )

    return [
        made("exact-fisher", "exact Fisher, dense", reference.fisher, lambda s: layered_dense(s, s.outputs)),
        made("ggn", "GGN, dense", reference.ggn, lambda s: layered_dense(s, s.outputs)),
        made(
            "hessian", "Hessian, dense", reference.hessian, lambda s: 2 * s.samples * (s.outputs + 3) * s.parameters**2, False
        ),
        made("empirical-fisher", "empirical Fisher, dense", reference.empirical_fisher, lambda s: layered_dense(s, 1)),
        made("monte-carlo-1", "Monte-Carlo Fisher, S = 1, dense", _drawn, lambda s: layered_dense(s, 1)),
    ]


def _solve_indefinite(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    solution: Tensor = torch.linalg.solve(damped, vector)
    return solution


def _drawn(problem: Problem) -> GaussNewton:
    return reference.monte_carlo_fisher(problem, 1, generator("efficiency draws", problem.name, device=str(problem.device)))


def as_dense(one: Approximation) -> Costed:
    """The dense matrix of an approximation without an entry of its own."""

    def solved(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        return one.solve(matrix, vector, damping) if one.solve is not None else solve_damped(matrix, vector, damping)

    def form(problem: Problem) -> Any:
        matrix = one.build(problem, problem)
        return matrix if one.solve is not None else densified(matrix, problem)

    def square(s: LayerSizes) -> float:
        return s.parameters**2

    return Costed(
        one.name,
        one.label,
        "dense",
        form,
        lambda matrix, vector: matrix @ vector,
        solved,
        lambda matrix: int(matrix.shape[0]) ** 2,
        square,
        lambda s: 2 * s.samples * s.outputs * s.parameters**2,
        lambda s: s.parameters**3 / 3,
    )


@dataclass(frozen=True, eq=False)
class Blocks:
    """Diagonal blocks with their places."""

    places: list[slice]
    matrices: list[Tensor]


def diagonal_blocks() -> list[Costed]:
    """The blocks of layers and of parameters."""

    def made(per: Any, label: str) -> Costed:
        def form(problem: Problem) -> Blocks:
            return Blocks(list(block_slices(problem, per).values()), list(reference.fisher(problem).blocks(per).values()))

        def sizes(s: LayerSizes) -> list[int]:
            if per == "layer":
                return [layer.parameters for layer in s.layers]
            return [size for n, m in s.maps for size in (m * n, m)]

        return Costed(
            f"fisher-{per}-blocks",
            label,
            "blocks",
            form,
            lambda b, v: torch.cat([m @ v[part] for part, m in zip(b.places, b.matrices, strict=True)]),
            lambda b, v, d: torch.cat([solve_damped(m, v[part], d) for part, m in zip(b.places, b.matrices, strict=True)]),
            lambda b: sum(m.numel() for m in b.matrices),
            lambda s: sum(n**2 for n in sizes(s)),
            lambda s: layered_blocks(s, s.outputs),  # those of parameters are parts of them
            lambda s: sum(n**3 for n in sizes(s)) / 3,
        )

    return [made("layer", "Fisher, layer blocks"), made("parameter", "Fisher, parameter blocks")]
