"""Costs of what keeps few vectors: diagonals, low rank, products alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Curvature, Problem, woodbury_solve
from fishergauge.reports.course.costed import Costed, Count
from fishergauge.suites.benchmarks.theory_of_layers import diagonal

RANK = 10
PRODUCTS = 20  # of conjugate gradients


def diagonals() -> list[Costed]:
    """What keeps one number a parameter."""

    def made(name: str, label: str, form: Callable[[Problem], Tensor], forming: Count) -> Costed:
        return Costed(
            name,
            label,
            "diagonal",
            form,
            torch.mul,
            lambda d, v, damping: v / (d + damping),
            torch.numel,
            lambda s: s.parameters,
            forming,
            lambda s: 2 * s.parameters,
        )

    return [
        made(
            "fisher-diagonal",
            "Fisher, diagonal",
            lambda p: reference.fisher(p).diagonal(),
            lambda s: diagonal(s, s.outputs),
        ),
        made(
            "adam",
            "root of the diagonal (Adam)",
            lambda p: reference.empirical_fisher(p).diagonal().sqrt(),
            lambda s: 4 * s.samples * s.parameters,
        ),
    ]


def products_alone() -> list[Costed]:
    """Low rank, and the Fisher as its products, solved by conjugate gradients."""
    low_rank = Costed(
        f"low-rank-{RANK}",
        f"Fisher, rank {RANK}",
        "products",
        lambda p: leading_rows(p, RANK),
        lambda rows, v: rows.T @ (rows @ v),
        woodbury_solve,
        torch.numel,
        lambda s: RANK * s.parameters,
        lambda s: 2 * (s.samples * s.outputs) ** 2 * s.parameters + 9 * (s.samples * s.outputs) ** 3,
        lambda s: 2 * RANK**2 * s.parameters,
    )
    iterated = Costed(
        "products",
        f"Fisher by products, CG with {PRODUCTS}",
        "products",
        lambda p: reference.ggn(p),
        lambda matrix, v: matrix @ v,
        truncated,
        lambda matrix: matrix.root.numel(),
        lambda s: s.samples * s.outputs**2,
        lambda s: 2 * s.samples * s.parameters,
        lambda s: PRODUCTS * 10 * s.samples * s.parameters,
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
        lambda s: s.parameters,
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
