"""Solving with products alone, by conjugate gradients."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from fishergauge.reference.errors import ConvergenceError, ProblemError


class Multiplies(Protocol):
    """Anything with a shape and a product with vectors."""

    @property
    def shape(self) -> "tuple[int, int] | torch.Size":
        """(P, P)."""

    def __matmul__(self, vectors: Tensor, /) -> Tensor:
        """The product with ``(P,)``."""


def conjugate_gradients(
    matrix: Multiplies, right: Tensor, damping: float = 0.0, tolerance: float = 1e-10, iterations: int | None = None
) -> Tensor:
    r"""The solution of :math:`(A + \lambda I) x = b` from products with A.

    For a singular A without damping it is the one of least norm, provided that b lies in the range.

    Args:
        matrix: A, symmetric positive semi-definite, with ``shape`` and ``@``.
        right: b, ``(P,)``.
        damping: lambda, not negative.
        tolerance: on the residual, relative to the norm of b.
        iterations: at most so many products; 10 P by default.

    Returns:
        ``(P,)``; zero for b = 0.

    Raises:
        ConvergenceError: the tolerance is not met; the message gives the residual.
        ProblemError: shapes do not fit or the damping is negative.

    Example:
        >>> conjugate_gradients(torch.tensor([[2.0]]), torch.tensor([4.0]))
        tensor([2.])

    Reference:
        Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems" (1952), by
        ``scipy.sparse.linalg.cg``.
    """
    if right.ndim != 1 or tuple(matrix.shape) != (len(right), len(right)):
        raise ProblemError(f"a matrix {tuple(matrix.shape)} and a right-hand side {tuple(right.shape)} do not fit")
    if damping < 0:
        raise ProblemError(f"damping must not be negative, got {damping}")

    def product(vector: NDArray[np.floating]) -> NDArray[np.floating]:
        v = torch.as_tensor(vector).to(right)
        result: NDArray[np.floating] = (matrix @ v + damping * v).detach().cpu().numpy()
        return result

    b = right.detach().cpu().numpy()
    operator = LinearOperator((len(b), len(b)), matvec=product, dtype=b.dtype)
    solution, info = cg(operator, b, rtol=tolerance, atol=0.0, maxiter=iterations)
    if info != 0:
        residual = float(np.linalg.norm(product(solution) - b) / np.linalg.norm(b))
        raise ConvergenceError(
            f"conjugate gradients stopped after {info} iterations with a relative residual of {residual:.1e}, above "
            f"{tolerance:.1e}; allow more iterations, add damping, or check that the right-hand side lies in the range"
        )
    return torch.as_tensor(solution).to(right)
