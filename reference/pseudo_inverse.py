"""The pseudo-inverse of a positive semi-definite matrix with a relative cut-off."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def pseudo_inverse(matrix: Tensor, cutoff: float | None = None) -> Tensor:
    r"""The Moore-Penrose inverse of a symmetric positive semi-definite matrix.

    .. math:: A^+ = \sum_{\lambda_i > c \lambda_{max}} u_i u_i' / \lambda_i

    Args:
        matrix: ``(P, P)``, symmetric; its symmetric part is used.
        cutoff: c, relative to the largest eigenvalue; P times the unit round-off by default. It must lie
            between the rounding noise and the smallest non-zero eigenvalue.

    Returns:
        ``(P, P)``, exactly symmetric; zero for the zero matrix.

    Raises:
        ProblemError: the matrix is not square or not finite, or the cut-off is not in [0, 1).

    Example:
        >>> pseudo_inverse(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0000]])

    Reference:
        Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 5.5.2.
    """
    values, vectors = range_eigenpairs(matrix, cutoff)
    return (vectors / values) @ vectors.T


def solve_psd(matrix: Tensor, right: Tensor, cutoff: float | None = None) -> Tensor:
    r"""The solution :math:`A^+ b` of least norm, without forming the inverse.

    Args:
        matrix: A, ``(P, P)``, symmetric positive semi-definite.
        right: b, ``(P,)`` or ``(P, B)``.
        cutoff: as for :func:`pseudo_inverse`.

    Returns:
        Shaped like ``right``.

    Raises:
        ProblemError: as :func:`pseudo_inverse`.

    Example:
        >>> solve_psd(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([1.0, 1.0]))
        tensor([0.5000, 0.0000])
    """
    values, vectors = range_eigenpairs(matrix, cutoff)
    projected = vectors.T @ right
    return vectors @ (projected / (values if right.ndim == 1 else values[:, None]))


def range_eigenpairs(matrix: Tensor, cutoff: float | None = None) -> tuple[Tensor, Tensor]:
    """Eigenvalues above the cut-off and their eigenvectors: ``(r,)``, ascending, and ``(P, r)``."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ProblemError(f"expected a square matrix, got shape {tuple(matrix.shape)}")
    if not bool(matrix.isfinite().all()):
        raise ProblemError("the matrix has entries that are NaN or infinite")
    if cutoff is None:
        cutoff = len(matrix) * torch.finfo(matrix.dtype).eps
    if not 0 <= cutoff < 1:
        raise ProblemError(f"the cut-off is relative to the largest eigenvalue and lies in [0, 1), got {cutoff}")
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    kept = values > cutoff * values[-1].clamp(min=0)
    return values[kept], vectors[:, kept]
