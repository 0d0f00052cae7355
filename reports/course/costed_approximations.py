"""Each approximation in the form in which it is cheapest: how it is formed, applied and solved with, and what it keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Curvature, Problem, block_slices, solve_damped, woodbury_solve
from fishergauge.reference.eigen_kfac import Eigen
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import Kronecker
from fishergauge.reference.quasi_diagonal import Units
from fishergauge.reports.course.growth import Sizes
from fishergauge.suites.matrix import densified
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import approximations

RANK = 10
PRODUCTS = 20  # of conjugate gradients
Count = Callable[[Sizes], float]


@dataclass(frozen=True, eq=False)
class Costed:
    """An approximation as its costs are measured.

    Args:
        name: that of the spectrum where it has the approximation.
        label: in figures.
        kind: ``"dense"``, ``"blocks"``, ``"factors"``, ``"diagonal"`` or ``"products"``; a dense one is measured up to fewer
            parameters.
        form: from a problem to what is kept.
        apply: what is kept, and a vector, to the product.
        solve: what is kept, a vector and a damping to the solution of (M + lambda I) x = v.
        numbers: how many floating-point numbers are kept.
        storage: what theory says of ``numbers``.
        forming: of the operations of ``form``, the leading terms.
        solving: of those of ``solve``, the leading terms.
    """

    name: str
    label: str
    kind: str
    form: Callable[[Problem], Any]
    apply: Callable[[Any, Tensor], Tensor]
    solve: Callable[[Any, Tensor, float], Tensor]
    numbers: Callable[[Any], int]
    storage: Count
    forming: Count
    solving: Count


def costed() -> dict[str, Costed]:
    """The approximations by name; one of the spectrum that is not listed here enters as a dense matrix.

    Example:
        >>> costed()["kfac-joint"].kind
        'factors'
    """
    listed = [*_dense(), *_blocks(), *_factors(), *_diagonals(), *_products()]
    table = {one.name: one for one in listed}
    for name, one in approximations().items():
        if name not in table and name not in SAME_COST:
            table[name] = _as_dense(one)
    return table


SAME_COST = {
    "monte-carlo-fisher": "monte-carlo-1",
    "kfac-reduce": "kfac-joint",
    "ekfac-separate": "ekfac-joint",
    "shampoo-half": "shampoo",
    "shampoo-quarter": "shampoo",
}
"""Approximations of the spectrum whose costs are those of another one, up to terms of lower order."""


def _dense() -> list[Costed]:
    def made(name: str, label: str, form: Callable[[Problem], Curvature], rows: Count, definite: bool = True) -> Costed:
        return Costed(
            name,
            label,
            "dense",
            lambda p: form(p).dense(),
            torch.matmul,
            solve_damped if definite else _solve_indefinite,
            torch.numel,
            lambda s: s.total**2,
            lambda s: 2 * rows(s) * s.total**2,
            lambda s: s.total**3 / 3 if definite else 2 * s.total**3 / 3,
        )

    return [
        made("exact-fisher", "exact Fisher, dense", reference.fisher, lambda s: s.N * s.outputs),
        made("ggn", "GGN, dense", reference.ggn, lambda s: s.N * s.outputs),
        made("hessian", "Hessian, dense", reference.hessian, lambda s: s.N * (s.outputs + 3), False),
        made("empirical-fisher", "empirical Fisher, dense", reference.empirical_fisher, lambda s: s.N),
        made("monte-carlo-1", "Monte-Carlo Fisher, S = 1, dense", _drawn, lambda s: s.N),
    ]


def _solve_indefinite(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    solution: Tensor = torch.linalg.solve(damped, vector)
    return solution


def _drawn(problem: Problem) -> GaussNewton:
    return reference.monte_carlo_fisher(problem, 1, generator("efficiency draws", problem.name, device=str(problem.device)))


def _as_dense(one: Approximation) -> Costed:
    """The dense matrix of an approximation without an entry of its own."""

    def solved(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        return one.solve(matrix, vector, damping) if one.solve is not None else solve_damped(matrix, vector, damping)

    def form(problem: Problem) -> Any:
        matrix = one.build(problem, problem)
        return matrix if one.solve is not None else densified(matrix, problem)

    def square(s: Sizes) -> float:
        return s.total**2

    return Costed(
        one.name,
        one.label,
        "dense",
        form,
        lambda matrix, vector: matrix @ vector,
        solved,
        lambda matrix: int(matrix.shape[0]) ** 2,
        square,
        lambda s: 2 * s.N * s.outputs * s.total**2,
        lambda s: s.total**3 / 3,
    )


@dataclass(frozen=True, eq=False)
class Blocks:
    """Diagonal blocks with their places."""

    places: list[slice]
    matrices: list[Tensor]


def _blocks() -> list[Costed]:
    def made(per: Any, label: str) -> Costed:
        def form(problem: Problem) -> Blocks:
            return Blocks(list(block_slices(problem, per).values()), list(reference.fisher(problem).blocks(per).values()))

        def sizes(s: Sizes) -> list[int]:
            return s.layers if per == "layer" else s.parameters

        return Costed(
            f"fisher-{per}-blocks",
            label,
            "blocks",
            form,
            lambda b, v: torch.cat([m @ v[part] for part, m in zip(b.places, b.matrices, strict=True)]),
            lambda b, v, d: torch.cat([solve_damped(m, v[part], d) for part, m in zip(b.places, b.matrices, strict=True)]),
            lambda b: sum(m.numel() for m in b.matrices),
            lambda s: sum(n**2 for n in sizes(s)),
            lambda s: 2 * s.N * s.outputs * sum(n**2 for n in sizes(s)),
            lambda s: sum(n**3 for n in sizes(s)) / 3,
        )

    return [made("layer", "Fisher, layer blocks"), made("parameter", "Fisher, parameter blocks")]


def _factors() -> list[Costed]:
    def made(name: str, label: str, form: Callable[[Problem], FactoredBlocks], *theory: Count) -> Costed:
        return Costed(name, label, "factors", form, lambda m, v: m @ v, solve_factors, numbers_of_factors, *theory)

    def eigenproblems(s: Sizes, joint: bool = True) -> float:
        return sum(9 * (m**3 + (n + joint) ** 3) + 4 * (m**2 * (n + joint) + m * (n + joint) ** 2) for n, m in s.maps)

    def factors(s: Sizes) -> float:
        return sum(2 * s.N * (s.outputs * m**2 + (n + 1) ** 2) + 2 * s.N * m * n for n, m in s.maps)

    def corrected(s: Sizes) -> float:
        rotations = sum(2 * s.N * (n + 1) ** 2 + 2 * s.N * s.outputs * m**2 for n, m in s.maps)
        eigenvalues = sum(4 * s.N * s.outputs * m * (n + 1) for n, m in s.maps)
        return factors(s) + rotations + eigenvalues + sum(9 * (m**3 + (n + 1) ** 3) for n, m in s.maps)

    return [
        made(
            "kfac-joint",
            "K-FAC, joint bias",
            lambda p: reference.kfac(p, bias="joint"),
            lambda s: sum(m**2 + (n + 1) ** 2 for n, m in s.maps),
            factors,
            eigenproblems,
        ),
        made(
            "kfac-separate",
            "K-FAC, separate bias",
            lambda p: reference.kfac(p, bias="separate"),
            lambda s: sum(2 * m**2 + n**2 + 1 for n, m in s.maps),
            factors,
            lambda s: eigenproblems(s, False) + sum(9 * m**3 for _, m in s.maps),
        ),
        made(
            "ekfac-joint",
            "EKFAC, joint bias",
            reference.eigen_kfac,
            lambda s: sum(m**2 + (n + 1) ** 2 + m * (n + 1) for n, m in s.maps),
            corrected,
            lambda s: sum(4 * (m**2 * (n + 1) + m * (n + 1) ** 2) for n, m in s.maps),
        ),
        made(
            "shampoo",
            "Shampoo",
            reference.shampoo,
            lambda s: sum(2 * m**2 + n**2 + 1 for n, m in s.maps),
            lambda s: sum(2 * s.N * (m**2 * n + m * n**2) for n, m in s.maps),
            lambda s: eigenproblems(s, False) + sum(9 * m**3 for _, m in s.maps),
        ),
        made(
            "quasi-diagonal",
            "Fisher, quasi-diagonal",
            reference.quasi_diagonal,
            lambda s: 2 * s.total,
            lambda s: 6 * s.N * s.outputs * s.total,
            lambda s: 9 * s.total,
        ),
    ]


def numbers_of_factors(matrix: FactoredBlocks) -> int:
    """The floating-point numbers of the factors; a factor that is known to be one counts."""
    total = 0
    for piece in matrix.pieces:
        if isinstance(piece, Kronecker):
            total += piece.output_factor.numel() + piece.input_factor.numel()
        elif isinstance(piece, Eigen):
            total += piece.outer.numel() + piece.inner.numel() + piece.values.numel()
        elif isinstance(piece, Units):
            total += piece.rank_one.numel() + piece.rest.numel()
        else:
            raise TypeError(f"{type(piece).__name__} is not known to the count of numbers; add it")
    return total


def solve_factors(matrix: FactoredBlocks, vector: Tensor, damping: float) -> Tensor:
    """(M + lambda I)^-1 v, block by block; a unit of the quasi-diagonal by Sherman and Morrison's formula."""
    result = torch.zeros_like(vector)
    for piece in matrix.pieces:
        part = vector[piece.index]
        if isinstance(piece, Units):
            result[piece.index] = _sherman_morrison(piece.rank_one, piece.rest + damping, part)
        elif isinstance(piece, Kronecker):
            result[piece.index] = piece.solve_exactly(part, damping)
        elif isinstance(piece, Eigen):
            result[piece.index] = piece.solve(part, damping)
        else:
            raise TypeError(f"{type(piece).__name__} is not known to the damped solve; add it")
    return result


def _sherman_morrison(rank_one: Tensor, diagonal: Tensor, right: Tensor) -> Tensor:
    r"""The solution of :math:`(c c' + \mathrm{diag}(d)) x = b` for each row."""
    scaled, solved = rank_one / diagonal, right / diagonal
    return solved - scaled * ((rank_one * solved).sum(-1, keepdim=True) / (1 + (rank_one * scaled).sum(-1, keepdim=True)))


def _diagonals() -> list[Costed]:
    def made(name: str, label: str, form: Callable[[Problem], Tensor], forming: Count) -> Costed:
        return Costed(
            name,
            label,
            "diagonal",
            form,
            torch.mul,
            lambda d, v, damping: v / (d + damping),
            torch.numel,
            lambda s: s.total,
            forming,
            lambda s: 2 * s.total,
        )

    return [
        made(
            "fisher-diagonal",
            "Fisher, diagonal",
            lambda p: reference.fisher(p).diagonal(),
            lambda s: 4 * s.N * s.outputs * s.total,
        ),
        made(
            "adam",
            "root of the diagonal (Adam)",
            lambda p: reference.empirical_fisher(p).diagonal().sqrt(),
            lambda s: 4 * s.N * s.total,
        ),
    ]


def _products() -> list[Costed]:
    low_rank = Costed(
        f"low-rank-{RANK}",
        f"Fisher, rank {RANK}",
        "products",
        lambda p: leading_rows(p, RANK),
        lambda rows, v: rows.T @ (rows @ v),
        woodbury_solve,
        torch.numel,
        lambda s: RANK * s.total,
        lambda s: 2 * (s.N * s.outputs) ** 2 * s.total + 9 * (s.N * s.outputs) ** 3,
        lambda s: 2 * RANK**2 * s.total,
    )
    iterated = Costed(
        "products",
        f"Fisher by products, CG with {PRODUCTS}",
        "products",
        lambda p: reference.ggn(p),
        lambda matrix, v: matrix @ v,
        truncated,
        lambda matrix: matrix.root.numel(),
        lambda s: s.N * s.outputs**2,
        lambda s: 2 * s.N * s.total,
        lambda s: PRODUCTS * 10 * s.N * s.total,
    )
    identity = Costed(
        "gradient",
        "identity (plain gradient)",
        "diagonal",
        lambda p: None,
        lambda _, v: v,
        lambda _, v, damping: v / (1 + damping),
        lambda _: 0,
        lambda s: 0,
        lambda s: 0,
        lambda s: s.total,
    )
    return [low_rank, iterated, identity]


def leading_rows(problem: Problem, rank: int) -> Tensor:
    r"""Rows V with V'V the best approximation of rank k, by way of the Gram matrix of all rows.

    Args:
        problem: with N C rows.
        rank: k.

    Returns:
        ``(k, P)``.
    """
    rows = torch.cat(list(reference.ggn(problem).rows()))
    vectors = torch.linalg.eigh(rows @ rows.T)[1][:, -rank:]
    leading: Tensor = vectors.T @ rows
    return leading


def truncated(matrix: Curvature, vector: Tensor, damping: float, products: int = PRODUCTS) -> Tensor:
    """Conjugate gradients, stopped after so many products; the last iterate."""
    x, residual = torch.zeros_like(vector), vector.clone()
    search, size = residual.clone(), residual @ residual
    for _ in range(products):
        image = matrix @ search + damping * search
        length = size / (search @ image)
        x = x + length * search
        residual = residual - length * image
        previous, size = size, residual @ residual
        search = residual + (size / previous) * search
    return x
