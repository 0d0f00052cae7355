"""A matrix of low rank from products alone: the leading eigenpairs, and solving with them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from fishergauge.reference.conjugate_gradients import Multiplies
from fishergauge.reference.errors import ConvergenceError, ProblemError
from fishergauge.reference.woodbury import woodbury_solve


@dataclass(frozen=True)
class LowRank:
    r"""The matrix :math:`U U'` with :math:`U = V \Lambda^{1/2}`, k columns wide.

    Args:
        values: the eigenvalues, positive, descending, ``(k,)``.
        vectors: V, orthonormal columns, ``(P, k)``.
    """

    values: Tensor
    vectors: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return len(self.vectors), len(self.vectors)

    @property
    def columns(self) -> Tensor:
        """U, ``(P, k)``."""
        return self.vectors * self.values.sqrt()

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """The product with ``(P,)`` or ``(P, B)``, in O(P k)."""
        return self.columns @ (self.columns.T @ vectors)

    def dense(self) -> Tensor:
        """U U', ``(P, P)``."""
        return self.columns @ self.columns.T

    def solve(self, right: Tensor, damping: float) -> Tensor:
        """The solution of (U U' + damping I) x = right, by a system of size k."""
        return woodbury_solve(self.columns.T, right, damping)

    def discarded(self, trace: Tensor) -> Tensor:
        """The sum of the eigenvalues left out, from the trace of the whole matrix: the error in the nuclear norm."""
        return trace - self.values.sum()


def low_rank(matrix: Multiplies, rank: int, start: Tensor) -> LowRank:
    r"""The best approximation of rank k of a positive semi-definite matrix, from products with it.

    .. math:: F \approx U U' = \sum_{i \le k} \lambda_i v_i v_i'

    No matrix of that rank is nearer in any unitarily invariant norm. The error is :math:`\lambda_{k+1}` in the spectral,
    :math:`\sum_{i>k} \lambda_i` in the nuclear and :math:`(\sum_{i>k} \lambda_i^2)^{1/2}` in the Frobenius norm. With damping,
    the step :math:`(U U' + \lambda I)^{-1} g` differs from :math:`(F + \lambda I)^{-1} g` by at most
    :math:`\lambda_{k+1} / (\lambda (\lambda + \lambda_{k+1}))` times the norm of g.

    Args:
        matrix: F, symmetric positive semi-definite, with ``shape`` and ``@``.
        rank: k, from 1 to P. Eigenvalues that are zero to rounding are left out.
        start: the vector from which the Krylov space grows, ``(P,)``, not zero; its dtype and device are those of the result.
            It must have a component along each eigenvector sought: let it be random.

    Returns:
        At most k eigenpairs.

    Raises:
        ConvergenceError: the iteration did not end.
        ProblemError: shapes or rank do not fit, the matrix is zero on the start, or a product is NaN or infinite.

    Example:
        >>> found = low_rank(torch.diag(torch.tensor([1.0, 4.0, 2.0])), 1, torch.ones(3))
        >>> found.values, found.dense().diagonal().round(decimals=4)
        (tensor([4.]), tensor([0., 4., 0.]))

    Reference:
        Eckart and Young, "The approximation of one matrix by another of lower rank" (1936); Lehoucq, Sorensen and Yang,
        "ARPACK users' guide" (1998), by ``scipy.sparse.linalg.eigsh``.
    """
    size = start.numel()
    if start.ndim != 1 or tuple(matrix.shape) != (size, size):
        raise ProblemError(f"a matrix {tuple(matrix.shape)} and a start {tuple(start.shape)} do not fit")
    if not isinstance(rank, int) or not 1 <= rank <= size:
        raise ProblemError(f"the rank is an integer between 1 and {size}, got {rank}")
    if not bool(start.norm() > 0) or not bool(start.isfinite().all()):
        raise ProblemError("the start must be finite and not zero; draw it at random")
    values, vectors = _eigenpairs(matrix, rank, start)
    kept = values > size * torch.finfo(start.dtype).eps * values.max().clamp(min=0)
    order = values[kept].argsort(descending=True)
    return LowRank(values[kept][order], vectors[:, kept][:, order])


def _finite(product: Tensor) -> Tensor:
    """A product, detached, after refusing what is NaN or infinite."""
    if not bool(product.isfinite().all()):
        raise ProblemError("a product with the matrix is NaN or infinite; look at the matrix")
    return product.detach()


def _eigenpairs(matrix: Multiplies, rank: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues and their vectors, in any order."""
    if rank >= len(start) - 1:  # ARPACK leaves at least one out; all together they are cheap to have at once
        columns = torch.eye(len(start), dtype=start.dtype, device=start.device)
        dense = torch.stack([_finite(matrix @ column) for column in columns], 1)
        values, vectors = torch.linalg.eigh((dense + dense.T) / 2)
        return values[-rank:], vectors[:, -rank:]

    def product(vector: NDArray[np.floating]) -> NDArray[np.floating]:
        result: NDArray[np.floating] = _finite(matrix @ torch.as_tensor(vector).reshape(-1).to(start)).cpu().numpy()
        return result

    if not bool(product(start.detach().cpu().numpy()).any()):
        raise ProblemError("the matrix is zero, or zero on the start; draw the start at random")
    first = start.detach().cpu().numpy()
    operator = LinearOperator(tuple(matrix.shape), matvec=product, dtype=first.dtype)
    try:
        # within an invariant subspace ARPACK goes on with a random vector: its generator is given, not global
        found = eigsh(operator, rank, which="LA", v0=first, rng=np.random.default_rng(0))
    except ArpackError as error:
        raise ConvergenceError(
            f"the leading eigenpairs were not found ({error}); take another start or a lower rank"
        ) from error
    return torch.as_tensor(found[0]).to(start), torch.as_tensor(found[1]).to(start)
