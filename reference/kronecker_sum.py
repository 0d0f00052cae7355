"""Sums of Kronecker products of symmetric matrices, as one matrix product of packed triangles."""

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK = 2**20  # numbers in the packed factors of the samples taken at a time: eight megabytes in float64


def sum_of_kronecker_products(left: Callable[[slice], Tensor], vectors: Tensor, positions: Tensor | None = None) -> Tensor:
    r"""The matrix :math:`\sum_n H_n \otimes x_n x_n'`.

    Both factors are symmetric, so that their upper triangles, packed into rows of length C (C + 1) / 2
    and D (D + 1) / 2, determine the sum. It is one product of the packed factors, accumulated over
    chunks of samples: N C (C + 1) D (D + 1) / 2 floating-point operations, a quarter of the plain
    product's, and no array of size N x CD x CD.

    Args:
        left: the packed upper triangles of H of a slice of the samples, one column a sample:
            ``slice -> (C (C + 1) / 2, n)``. An empty slice asks for the shape only.
        vectors: x, ``(N, D)``.
        positions: where entry (c, e) of H stands in its packed triangle, ``(C, C)``; row-major as
            ``torch.triu_indices`` by default, :func:`packed_positions` for :func:`packed_products`.

    Returns:
        ``(C D, C D)``, exactly symmetric, indexed by ``c D + d``.

    Raises:
        ValueError: there are no samples.

    Example:
        >>> sum_of_kronecker_products(lambda part: torch.ones(1, 2)[:, part], torch.tensor([[1.0], [2.0]]))
        tensor([[5.]])
    """
    packed = packed_sum(left, vectors)
    if positions is None:
        positions = _row_major_positions(int((2 * packed.shape[0] + 0.25) ** 0.5), packed.device)
    return unpacked(packed, positions)


def packed_sum(left: Callable[[slice], Tensor], vectors: Tensor) -> Tensor:
    r"""The matrix :math:`\sum_n h_n \xi_n'`, where :math:`\xi_n` packs the products of :math:`x_n` with itself.

    Args:
        left: h of a slice of the samples, one column a sample: ``slice -> (m, n)``. An empty slice asks
            for the shape only.
        vectors: x, ``(N, D)``.

    Returns:
        ``(m, D (D + 1) / 2)``, columns as :func:`packed_products` orders them.

    Raises:
        ValueError: there are no samples.

    Example:
        >>> packed_sum(lambda part: torch.ones(1, 2)[:, part], torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
        tensor([[1., 5., 2.]])
    """
    count, width = vectors.shape
    if count == 0:
        raise ValueError("a sum over no samples has no shape")
    shape = left(slice(0, 0))
    differentiated = _differentiated(shape, vectors)
    chunk = min(count, _chunk(len(shape), packed_size(width)))
    buffer = None if differentiated else vectors.new_empty(chunk, width // 2 + 1, width)  # first writes are slow: reused
    packed: Tensor | None = None
    for first in range(0, count, chunk):
        part = slice(first, min(first + chunk, count))
        x = vectors[part]
        products = packed_products(x, 1, out=None if buffer is None else buffer[: len(x)])
        if packed is None:
            packed = left(part) @ products
        else:  # out= and not addmm_, which torch's FLOP counter does not see
            packed = torch.addmm(packed, left(part), products, out=None if differentiated else packed)
    assert packed is not None
    return packed


def packed_products(vectors: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    r"""The products of the entries of vectors, each pair once.

    The pairs run along the cyclic diagonals of :math:`x x'`: :math:`x_i x_{(i + k) \bmod D}` for k from 0 to D / 2 and,
    within a diagonal, i from 0 to D - 1. They are then products of two views, without a gather; of an even D, half the
    last diagonal is left out, which repeats the other half.

    Args:
        vectors: x along an axis of length D.
        dim: that axis, counted from the front.
        out: room for the product: shaped like ``vectors`` with ``(D // 2 + 1, D)`` in place of D.

    Returns:
        Like ``vectors``, with D (D + 1) / 2 in place of D.

    Example:
        >>> packed_products(torch.tensor([2.0, 3.0, 5.0]), 0)
        tensor([ 4.,  9., 25.,  6., 15., 10.])
    """
    width = vectors.shape[dim]
    continued = torch.cat([vectors, vectors.narrow(dim, 0, width // 2)], dim)
    shifted = continued.unfold(dim, width, 1).movedim(-1, dim + 1)
    if out is None and not _differentiated(vectors):
        out = vectors.new_empty(shifted.shape)  # in order: the product of overlapping views alone would be permuted
    products = torch.mul(shifted, vectors.unsqueeze(dim), out=out)
    return products.flatten(dim, dim + 1).narrow(dim, 0, packed_size(width))


def packed_positions(width: int, device: torch.device | str = "cpu") -> Tensor:
    """Where the product of entries i and j stands among :func:`packed_products`: ``(width, width)``, symmetric.

    Example:
        >>> packed_positions(3)
        tensor([[0, 3, 5],
                [3, 1, 4],
                [5, 4, 2]])
    """
    index = torch.arange(width, device=device)
    from_row = (index - index[:, None]) % width * width + index[:, None]
    return torch.minimum(from_row, from_row.T)


def packed_size(width: int) -> int:
    """The number of entries in the upper triangle of a square matrix."""
    return width * (width + 1) // 2


def unpacked(packed: Tensor, positions: Tensor) -> Tensor:
    """Spread both packed triangles of a :func:`packed_sum`.

    Args:
        packed: ``(m, D (D + 1) / 2)``.
        positions: the row of ``packed`` for each block, ``(C, C)``.

    Returns:
        ``(C D, C D)``, exactly symmetric where ``positions`` is.
    """
    width = int((2 * packed.shape[1] + 0.25) ** 0.5)
    inner = packed_positions(width, packed.device)
    matrix = packed[positions[:, None, :, None], inner[None, :, None, :]]
    return matrix.view(len(positions) * width, -1)


def _row_major_positions(width: int, device: torch.device) -> Tensor:
    """Where entry (i, j) of a symmetric matrix stands in its upper triangle, row-major: ``(width, width)``."""
    index = torch.arange(width, device=device)
    low, high = torch.minimum(index, index[:, None]), torch.maximum(index, index[:, None])
    return low * (2 * width - low - 1) // 2 + high


def _differentiated(*tensors: Tensor) -> bool:
    """Whether gradients are wanted, which ``out=`` does not allow."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _chunk(left: int, right: int) -> int:
    """Samples at a time: as many as the cache holds; more where the sum is larger, but no more numbers than it has entries."""
    return max(1, CHUNK // (left + right), min(left, right))
