"""The matrix of inner products of columns, V'V, at half the cost of a general matrix product."""

from collections.abc import Iterable

from torch import Tensor

from fishergauge.reference.second_moment import add_outer_products, mirrored, outer_product_flops

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
        >>> import torch
        >>> gram_matrix([torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]])], torch.empty(2, 2))
        tensor([[1., 2.],
                [2., 5.]])
    """
    begun = False
    for rows in chunks:
        add_outer_products(matrix, rows.T, keep=float(begun), panel=PANEL)
        begun = True
    return mirrored(matrix, PANEL) if begun else matrix.zero_()


def gram_flops(rows: int, size: int) -> int:
    """The floating-point operations of :func:`gram_matrix` for that many rows of that length."""
    return outer_product_flops(rows, size, PANEL)
