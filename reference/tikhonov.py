"""Solving with a damped matrix."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.pseudo_inverse import solve_psd


def solve_damped(matrix: Tensor, right: Tensor, damping: float = 0.0, cutoff: float | None = None) -> Tensor:
    r"""The solution of :math:`(A + \lambda I) x = b`; of least norm, :math:`A^+ b`, without damping.

    Args:
        matrix: A, ``(P, P)``, symmetric positive semi-definite.
        right: b, ``(P,)`` or ``(P, B)``.
        damping: lambda, not negative, in the units of A.
        cutoff: of the pseudo-inverse, where the damping is zero.

    Returns:
        Shaped like ``right``.

    Raises:
        ProblemError: the damping is negative, or too small for a matrix that is not positive semi-definite.

    Example:
        >>> solve_damped(torch.tensor([[1.0]]), torch.tensor([4.0]), damping=1.0)
        tensor([2.])

    Reference:
        Martens, "New insights and perspectives on the natural gradient method", JMLR 21 (2020), sec. 6.
    """
    if damping < 0:
        raise ProblemError(f"damping must not be negative, got {damping}")
    if damping == 0:
        return solve_psd(matrix, right, cutoff)
    damped = (matrix + matrix.T) / 2
    damped.diagonal().add_(damping)
    factor, info = torch.linalg.cholesky_ex(damped)
    if int(info):
        raise ProblemError(
            f"the matrix plus {damping} I is not positive definite (pivot {int(info)}); the matrix has negative "
            "eigenvalues: raise the damping, or look at them with gate A"
        )
    return torch.cholesky_solve(right.reshape(len(damped), -1), factor).reshape(right.shape)
