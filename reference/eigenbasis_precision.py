"""A posterior precision that is diagonal in a Kronecker-factored basis: K-FAC and EKFAC plus an isotropic prior."""

import torch
from torch import Tensor

from fishergauge.reference.posterior_precision import PosteriorPrecision, positive


class EigenbasisPrecision(PosteriorPrecision):
    r"""The matrix :math:`(U \otimes V) (f S + \delta I) (U \otimes V)'` over a matrix of parameters, flattened row-major.

    For a Kronecker product :math:`G \otimes A` the bases are those of its factors and S the products of their
    eigenvalues, so that the prior is added exactly and not to the factors. :math:`W = (U \otimes V) (f S + \delta)^{-1/2}`.

    Args:
        outer: U, orthogonal, ``(D_out, D_out)``.
        inner: V, orthogonal, ``(D_in, D_in)``.
        values: S, ``(D_out, D_in)``.
        factor: f, a scalar.
        prior: delta, a scalar.

    Raises:
        ProblemError: the sum is not positive definite.

    Reference:
        Ritter, Botev and Barber, "A scalable Laplace approximation for neural networks", ICLR 2018, sec. 3; exact
        addition of the prior: Immer et al., "Scalable marginal likelihood estimation", ICML 2021, sec. 4.
    """

    def __init__(self, outer: Tensor, inner: Tensor, values: Tensor, factor: Tensor, prior: Tensor) -> None:
        super().__init__(values.numel())
        self.outer = outer
        self.inner = inner
        self.values = positive(factor * values + prior, "an eigenvalue of a Kronecker block")

    def dense(self) -> Tensor:
        basis = torch.kron(self.outer.contiguous(), self.inner.contiguous())
        return (basis * self.values.flatten()) @ basis.T

    def logdet(self) -> Tensor:
        return self.values.log().sum()

    def unwhiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        matrices = rows.reshape(-1, *self.values.shape)
        return (self.outer @ (matrices * self.values.rsqrt()) @ self.inner.T).reshape(rows.shape)

    def project(self, rows: Tensor) -> Tensor:
        return (self._rotated(rows) * self.values.rsqrt()).reshape(rows.shape)

    def whiten(self, rows: Tensor) -> Tensor:
        return (self._rotated(rows) * self.values.sqrt()).reshape(rows.shape)

    def variance(self) -> Tensor:
        return (self.outer.square() @ self.values.reciprocal() @ self.inner.square().T).flatten()

    def _rotated(self, rows: Tensor) -> Tensor:
        """U' X V for each row as a matrix X."""
        self._check(rows)
        return self.outer.T @ rows.reshape(-1, *self.values.shape) @ self.inner
