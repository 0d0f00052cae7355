"""Sums of Kronecker products of symmetric matrices, as one matrix product of packed triangles."""

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK = 256  # samples at a time: the packed factors stay in the cache


def sum_of_kronecker_products(left: Callable[[slice], Tensor], vectors: Tensor) -> Tensor:
    r"""The matrix :math:`\sum_n H_n \otimes x_n x_n'`.

    Both factors are symmetric, so that their upper triangles, packed into rows of length C (C + 1) / 2
    and D (D + 1) / 2, determine the sum. It is one product of the packed factors, accumulated over
    chunks of samples: N C (C + 1) D (D + 1) / 2 floating-point operations, a quarter of the plain
    product's, and no array of size N x CD x CD.

    Args:
        left: the packed upper triangles of H (row-major, as ``torch.triu_indices``) of a slice of the
            samples, one column a sample: ``slice -> (C (C + 1) / 2, n)``.
        vectors: x, ``(N, D)``.

    Returns:
        ``(C D, C D)``, exactly symmetric, indexed by ``c D + d``.

    Example:
        >>> sum_of_kronecker_products(lambda part: torch.ones(1, 2)[:, part], torch.tensor([[1.0], [2.0]]))
        tensor([[5.]])
    """
    count, width = vectors.shape
    rows, columns = torch.triu_indices(width, width, device=vectors.device)
    packed: Tensor | None = None
    for first in range(0, count, CHUNK):
        part = slice(first, first + CHUNK)
        x = vectors[part].T.contiguous()  # one row a feature: whole rows are gathered below
        products = x[rows]
        products *= x[columns]
        h = left(part)
        # out= and not addmm_, which torch's FLOP counter does not see
        packed = h @ products.T if packed is None else torch.addmm(packed, h, products.T, out=packed)
    if packed is None:
        raise ValueError("a sum over no samples has no shape")
    return _unpacked(packed, width)


def packed_size(width: int) -> int:
    """The number of entries in the upper triangle of a square matrix."""
    return width * (width + 1) // 2


def _unpacked(packed: Tensor, width: int) -> Tensor:
    """Spread both packed triangles: ``(C (C + 1) / 2, D (D + 1) / 2) -> (C D, C D)``."""
    classes = int((2 * packed.shape[0] + 0.25) ** 0.5)
    outer = _positions(classes, packed.device)
    inner = _positions(width, packed.device).reshape(-1)
    matrix = packed.new_empty(classes, width, classes, width)
    for c in range(classes):
        for e in range(classes):
            matrix[c, :, e, :] = packed[outer[c, e]][inner].view(width, width)
    return matrix.view(classes * width, classes * width)


def _positions(width: int, device: torch.device) -> Tensor:
    """Where entry (i, j) of a symmetric matrix stands in its packed upper triangle: ``(width, width)``."""
    rows, columns = torch.triu_indices(width, width, device=device)
    positions = torch.empty(width, width, dtype=torch.long, device=device)
    positions[rows, columns] = positions[columns, rows] = torch.arange(len(rows), device=device)
    return positions
