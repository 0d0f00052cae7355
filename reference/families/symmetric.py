"""Coordinates of symmetric and lower triangular matrices: the lower triangle, row by row."""

import math

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def vech(matrix: Tensor) -> Tensor:
    r"""The lower triangle, row by row: :math:`(S_{11}, S_{21}, S_{22}, S_{31}, S_{32}, S_{33}, \dots)`.

    Each entry off the diagonal stands once, for both of its places. A derivative with respect to it is hence
    the sum of the derivatives at the two places.

    Args:
        matrix: S, ``(..., D, D)``; what is above the diagonal is not looked at.

    Returns:
        ``(..., D (D + 1) / 2)``.

    Raises:
        ProblemError: the matrix is not square.

    Example:
        >>> vech(torch.tensor([[1.0, 2.0], [2.0, 3.0]]))
        tensor([1., 2., 3.])

    Reference:
        Magnus and Neudecker, "The elimination matrix", SIAM J. Algebraic Discrete Methods 1 (1980);
        they go by columns.
    """
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ProblemError(f"expected a square matrix, got shape {tuple(matrix.shape)}")
    rows, columns = _lower_triangle(matrix.shape[-1], matrix)
    return matrix[..., rows, columns]


def lower_triangular(coordinates: Tensor) -> Tensor:
    """The lower triangular matrix with this lower triangle.

    Args:
        coordinates: as :func:`vech` orders them, ``(..., D (D + 1) / 2)``.

    Returns:
        ``(..., D, D)``, zero above the diagonal.

    Raises:
        ProblemError: no D has this number of coordinates.

    Example:
        >>> lower_triangular(torch.tensor([1.0, 2.0, 3.0]))
        tensor([[1., 0.],
                [2., 3.]])
    """
    dimension = matrix_dimension(coordinates.shape[-1])
    rows, columns = _lower_triangle(dimension, coordinates)
    leading = coordinates.shape[:-1]
    flat = coordinates.new_zeros((*leading, dimension * dimension)).index_copy(-1, rows * dimension + columns, coordinates)
    return flat.reshape(*leading, dimension, dimension)


def symmetric(coordinates: Tensor) -> Tensor:
    """The symmetric matrix with this lower triangle, the inverse of :func:`vech`.

    Args:
        coordinates: ``(..., D (D + 1) / 2)``.

    Returns:
        ``(..., D, D)``.

    Raises:
        ProblemError: no D has this number of coordinates.

    Example:
        >>> symmetric(torch.tensor([1.0, 2.0, 3.0]))
        tensor([[1., 2.],
                [2., 3.]])
    """
    lower = lower_triangular(coordinates)
    return lower + lower.tril(-1).mT


def duplication_matrix(dimension: int, like: Tensor) -> Tensor:
    r"""The matrix that writes both places of an entry, :math:`\mathrm{vec}(S) = D \, \mathrm{vech}(S)`.

    Args:
        dimension: of S.
        like: gives dtype and device.

    Returns:
        ``(dimension^2, dimension (dimension + 1) / 2)``, of zeros and ones.

    Example:
        >>> duplication_matrix(2, torch.ones(1)).int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]

    Reference:
        Magnus and Neudecker (1980).
    """
    size = dimension * (dimension + 1) // 2
    units = torch.eye(size, dtype=like.dtype, device=like.device)
    return symmetric(units).flatten(1).mT


def matrix_dimension(size: int) -> int:
    """The D of a triangle with this number of coordinates.

    Raises:
        ProblemError: there is none.
    """
    dimension = (math.isqrt(8 * size + 1) - 1) // 2
    if size < 1 or dimension * (dimension + 1) // 2 != size:
        raise ProblemError(f"the lower triangle of a D x D matrix has D (D + 1) / 2 entries; no D gives {size}")
    return dimension


def _lower_triangle(dimension: int, like: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = torch.tril_indices(dimension, dimension, device=like.device)
    return rows, columns
