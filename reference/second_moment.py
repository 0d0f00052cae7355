"""Sums of outer products of rows, at little more than half the cost of a general matrix product."""

from collections.abc import Iterator

import torch
from torch import Tensor

PANEL = 160  # rows and columns at a time


def add_outer_products(
    matrix: Tensor, columns: Tensor, scale: float = 1.0, keep: float = 1.0, panel: int | None = None
) -> None:
    r"""Add :math:`s \sum_n v_n v_n'` to a symmetric matrix, in the panels on and above the diagonal only.

    Args:
        matrix: ``(D, D)``; to be completed by :func:`mirrored` when everything is added.
        columns: v, ``(D, n)``.
        scale: s.
        keep: what the matrix is multiplied by first; 0 to overwrite whatever is there.
        panel: width of a panel, :data:`PANEL` by default; the same for :func:`mirrored`.

    Example:
        >>> matrix = torch.empty(2, 2)
        >>> add_outer_products(matrix, torch.tensor([[1.0], [2.0]]), keep=0.0)
        >>> mirrored(matrix)
        tensor([[1., 2.],
                [2., 4.]])
    """
    for part in _panels(len(matrix), panel):
        upper = matrix[: part.stop, part]
        left, right = columns[: part.stop], columns[part].T
        torch.addmm(upper, left, right, beta=keep, alpha=scale, out=upper)  # addmm_ escapes torch's FLOP counter


def mirrored(matrix: Tensor, panel: int | None = None) -> Tensor:
    """The matrix itself, its lower triangle now that of its upper one."""
    for part in _panels(len(matrix), panel):
        square = matrix[part, part]
        square.copy_(square.triu() + square.triu(1).mT)
        matrix[part, : part.start] = matrix[: part.start, part].mT
    return matrix


def outer_product_flops(rows: int, size: int, panel: int | None = None) -> int:
    """The floating-point operations of :func:`add_outer_products` for ``(size, rows)``."""
    return sum(2 * rows * part.stop * (part.stop - part.start) for part in _panels(size, panel))


def _panels(size: int, panel: int | None) -> Iterator[slice]:
    step = PANEL if panel is None else panel
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))
