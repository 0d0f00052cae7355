"""The matrix of inner products of columns, V'V, at half the cost of a general matrix product."""

from collections.abc import Iterable

import torch
from torch import Tensor

PANEL = 512  # columns at a time


def gram_matrix(chunks: Iterable[Tensor], matrix: Tensor) -> Tensor:
    r"""The sum :math:`\sum_c V_c' V_c`, by panels of columns down to the diagonal only; the rest is their mirror image.

    One panel of b columns that ends at column e costs 2 n e b floating-point operations, so that n rows cost
    about n P (P + b) and not 2 n P^2.

    Args:
        chunks: V, ``(n, P)`` each.
        matrix: ``(P, P)``, overwritten.

    Returns:
        ``matrix``, exactly symmetric.

    Example:
        >>> gram_matrix([torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]])], torch.empty(2, 2))
        tensor([[1., 2.],
                [2., 5.]])
    """
    begun = False
    for rows in chunks:
        for panel in _panels(len(matrix)):
            left, right, upper = rows[:, : panel.stop].T, rows[:, panel], matrix[: panel.stop, panel]
            if begun:
                torch.addmm(upper, left, right, out=upper)  # addmm_ escapes torch's FLOP counter
            else:
                torch.mm(left, right, out=upper)
        begun = True
    if not begun:
        return matrix.zero_()
    for panel in _panels(len(matrix)):
        square = matrix[panel, panel]
        square.copy_(square.triu() + square.triu(1).T)
        matrix[panel, : panel.start] = matrix[: panel.start, panel].T
    return matrix


def gram_flops(rows: int, size: int) -> int:
    """The floating-point operations of :func:`gram_matrix` for that many rows of that length."""
    return sum(2 * rows * panel.stop * (panel.stop - panel.start) for panel in _panels(size))


def _panels(size: int) -> list[slice]:
    return [slice(start, min(start + PANEL, size)) for start in range(0, size, PANEL)]
