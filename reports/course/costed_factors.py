"""Costs of Kronecker factorisations and of what resembles them."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reference.eigen_kfac import Eigen
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.kfac import Kronecker
from fishergauge.reference.quasi_diagonal import Units
from fishergauge.reports.course.costed import Costed, Count
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes


def factorisations() -> list[Costed]:
    """K-FAC, EKFAC and Shampoo, by their factors; the quasi-diagonal, by its units."""

    def made(name: str, label: str, form: Callable[[Problem], FactoredBlocks], *theory: Count) -> Costed:
        return Costed(name, label, "factors", form, lambda m, v: m @ v, solve_factors, numbers_of_factors, *theory)

    def eigenproblems(s: LayerSizes, joint: bool = True) -> float:
        return sum(9 * (m**3 + (n + joint) ** 3) + 4 * (m**2 * (n + joint) + m * (n + joint) ** 2) for n, m in s.maps)

    def factors(s: LayerSizes) -> float:
        return sum(2 * s.samples * (s.outputs * m**2 + (n + 1) ** 2) + 2 * s.samples * m * n for n, m in s.maps)

    def corrected(s: LayerSizes) -> float:
        rotations = sum(2 * s.samples * (n + 1) ** 2 + 2 * s.samples * s.outputs * m**2 for n, m in s.maps)
        eigenvalues = sum(4 * s.samples * s.outputs * m * (n + 1) for n, m in s.maps)
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
            lambda s: sum(2 * s.samples * (m**2 * n + m * n**2) for n, m in s.maps),
            lambda s: eigenproblems(s, False) + sum(9 * m**3 for _, m in s.maps),
        ),
        made(
            "quasi-diagonal",
            "Fisher, quasi-diagonal",
            reference.quasi_diagonal,
            lambda s: 2 * s.parameters,
            lambda s: 6 * s.samples * s.outputs * s.parameters,
            lambda s: 9 * s.parameters,
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
