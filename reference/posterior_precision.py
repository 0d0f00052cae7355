"""The precision of a Gaussian over the parameters, by what is needed of its structure."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError, UnsupportedError


class PosteriorPrecision(ABC):
    r"""A symmetric positive definite matrix :math:`\Lambda` and a root W of its inverse, :math:`\Lambda^{-1} = W W'`.

    A structure says how W, W' and :math:`W^{-1}` act; solving, sampling and quadratic forms follow, and the inverse is
    never formed. All methods take and return rows, one vector of length P each.

    Args:
        size: P.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.size, self.size

    @abstractmethod
    def dense(self) -> Tensor:
        """The matrix, ``(P, P)``."""

    @abstractmethod
    def logdet(self) -> Tensor:
        """The logarithm of the determinant: a scalar, differentiable in the hyper-parameters."""

    @abstractmethod
    def unwhiten(self, rows: Tensor) -> Tensor:
        """W z for the rows z of ``(S, P)``: standard normal rows become rows of covariance Lambda^-1."""

    @abstractmethod
    def project(self, rows: Tensor) -> Tensor:
        """W' v for the rows v of ``(S, P)``."""

    @abstractmethod
    def whiten(self, rows: Tensor) -> Tensor:
        """W^-1 v for the rows v of ``(S, P)``: the inverse of :meth:`unwhiten`."""

    @abstractmethod
    def variance(self) -> Tensor:
        """The diagonal of the inverse, ``(P,)``."""

    def solve(self, right: Tensor) -> Tensor:
        """Lambda^-1 b for ``(P,)`` or for the columns of ``(P, B)``."""
        if right.ndim not in (1, 2) or len(right) != self.size:
            raise ProblemError(f"expected vectors of length {self.size}, (P,) or (P, B), got {tuple(right.shape)}")
        rows = right[None] if right.ndim == 1 else right.mT
        solved = self._solve(rows)
        return solved[0] if right.ndim == 1 else solved.mT

    def _solve(self, rows: Tensor) -> Tensor:
        """Lambda^-1 v = W (W' v) for the rows v."""
        return self.unwhiten(self.project(rows))

    def quadratic(self, jacobian: Tensor) -> Tensor:
        r""":math:`J \Lambda^{-1} J' = (J W) (J W)'` for J of ``(..., C, P)``: ``(..., C, C)``, positive semi-definite."""
        self._check(jacobian)
        projected = self.project(jacobian.reshape(-1, self.size)).reshape(jacobian.shape)
        return projected @ projected.mT

    def covariance(self) -> Tensor:
        """Lambda^-1, ``(P, P)``: for small problems and for tests."""
        return self.quadratic(torch.diag(torch.ones_like(self.variance())))

    def _check(self, rows: Tensor) -> None:
        """Refuse what is not rows of length P: some structures would broadcast or reshape it."""
        if rows.ndim < 2 or rows.shape[-1] != self.size:
            raise ProblemError(f"expected vectors of length {self.size} as rows, got {tuple(rows.shape)}")


def positive(values: Tensor, what: str) -> Tensor:
    """Eigenvalues or diagonal entries of a precision, after refusing those that are not positive.

    Raises:
        ProblemError: one is not; the message names the smallest and the remedy.
    """
    if not bool((values > 0).all()):
        raise ProblemError(
            f"the posterior precision is not positive definite: {what} is {float(values.detach().min()):.3g} after the "
            "prior was added; the curvature has negative eigenvalues: raise the prior precision or take the GGN"
        )
    return values


def diagonal_prior(prior: Tensor, structure: str) -> Tensor:
    """The diagonal of a prior, after refusing a dense one.

    Raises:
        UnsupportedError: it is dense.
    """
    if prior.ndim != 1:
        raise UnsupportedError(f"a dense prior precision needs structure 'full'; structure {structure!r} adds a diagonal one")
    return prior
