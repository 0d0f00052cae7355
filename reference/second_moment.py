"""Sums of outer products of rows, at little more than half the cost of a general matrix product."""

from collections.abc import Iterator

import torch
from torch import Tensor

PANEL = 160  # columns


def add_outer_products(matrix: Tensor, columns: Tensor, scale: float = 1.0, keep: float = 1.0) -> None:
    r"""Add :math:`s \sum_n v_n v_n'` to a symmetric matrix, in the panels on and above the diagonal only.

    Args:
        matrix: ``(D, D)``; to be completed by :func:`mirrored` when everything is added.
        columns: v, ``(D, n)``.
        scale: s.
        keep: what the matrix is multiplied by first; 0 to overwrite whatever is there.

    Example:
        >>> matrix = torch.empty(2, 2)
        >>> add_outer_products(matrix, torch.tensor([[1.0], [2.0]]), keep=0.0)
        >>> mirrored(matrix)
        tensor([[1., 2.],
                [2., 4.]])
    """
    for panel in _panels(len(matrix)):
        upper = matrix[: panel.stop, panel]
        left, right = columns[: panel.stop], columns[panel].T
        torch.addmm(upper, left, right, beta=keep, alpha=scale, out=upper)  # addmm_ escapes torch's FLOP counter


def mirrored(matrix: Tensor) -> Tensor:
    """The matrix itself, its lower triangle now that of its upper one."""
    for panel in _panels(len(matrix)):
        square = matrix[panel, panel]
        square.copy_(square.triu() + square.triu(1).mT)
        matrix[panel, : panel.start] = matrix[: panel.start, panel].mT
    return matrix


def outer_product_flops(rows: int, size: int) -> int:
    """The floating-point operations of :func:`add_outer_products` for ``(size, rows)``."""
    return sum(2 * rows * panel.stop * (panel.stop - panel.start) for panel in _panels(size))


def _panels(size: int) -> Iterator[slice]:
    for start in range(0, size, PANEL):
        yield slice(start, min(start + PANEL, size))
