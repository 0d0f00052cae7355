"""A posterior precision of low rank plus the diagonal prior, by Woodbury's identity."""

from functools import cached_property

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.posterior_precision import PosteriorPrecision


class LowRankPrecision(PosteriorPrecision):
    r"""The matrix :math:`\Lambda = \Delta + V f S V' = \Delta^{1/2} (I + B B') \Delta^{1/2}`.

    With :math:`B = \Delta^{-1/2} V (f S)^{1/2}`, of size P times k,

    .. math::
        \log\det \Lambda = \log\det \Delta + \log\det (I_k + B'B), \qquad
        \Lambda^{-1} = \Delta^{-1/2} \big(I - B (I_k + B'B)^{-1} B'\big) \Delta^{-1/2},

    and the root :math:`W = \Delta^{-1/2} (I + B B')^{-1/2}` from the singular values of B.

    Args:
        vectors: V, ``(P, k)``, orthonormal.
        values: S, ``(k,)``; rounding below zero counts as zero.
        factor: f, a scalar.
        prior: Delta, its diagonal ``(P,)``.

    Raises:
        ProblemError: a value is negative beyond rounding.

    Reference:
        Woodbury, "Inverting modified matrices" (1950); Golub and Van Loan, "Matrix computations" (2013), sec. 2.1.4.
    """

    def __init__(self, vectors: Tensor, values: Tensor, factor: Tensor, prior: Tensor) -> None:
        super().__init__(len(vectors))
        noise = 16 * len(vectors) * torch.finfo(values.dtype).eps * values.abs().max() if values.numel() else 0
        if bool((values < -noise).any()):
            raise ProblemError(
                f"low-rank structure needs eigenvalues that are not negative, the smallest kept is {float(values.min()):.3g}; "
                "keep fewer, or take the GGN"
            )
        self.prior = prior
        self.root = factor.sqrt() * values.clamp(min=0).sqrt() * vectors / prior.sqrt()[:, None]
        identity = torch.eye(self.root.shape[1], dtype=self.root.dtype, device=self.root.device)
        self.cholesky: Tensor = torch.linalg.cholesky(identity + self.root.T @ self.root)

    @cached_property
    def singular(self) -> tuple[Tensor, Tensor]:
        """Left singular vectors and singular values of B: ``(P, k)`` and ``(k,)``."""
        vectors, values, _ = torch.linalg.svd(self.root, full_matrices=False)
        return vectors, values

    def dense(self) -> Tensor:
        root = self.root * self.prior.sqrt()[:, None]
        return torch.diag(self.prior) + root @ root.T

    def logdet(self) -> Tensor:
        return self.prior.log().sum() + 2 * self.cholesky.diagonal().log().sum()

    def unwhiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return self._scaled(rows, -0.5) * self.prior.rsqrt()

    def project(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return self._scaled(rows * self.prior.rsqrt(), -0.5)

    def whiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return self._scaled(rows * self.prior.sqrt(), 0.5)

    def variance(self) -> Tensor:
        vectors, values = self.singular
        outside = (1 - vectors.square().sum(1)).clamp(min=0)  # what the range of B leaves to the prior alone
        return (outside + (vectors.square() / (1 + values.square())).sum(1)) / self.prior

    def _solve(self, rows: Tensor) -> Tensor:
        scaled = rows * self.prior.rsqrt()
        inner = torch.cholesky_solve((scaled @ self.root).T, self.cholesky).T
        return (scaled - inner @ self.root.T) * self.prior.rsqrt()

    def _scaled(self, rows: Tensor, power: float) -> Tensor:
        """(I + B B')^power applied to rows: its eigenvalues differ from one on the range of B alone."""
        vectors, values = self.singular
        return rows + ((rows @ vectors) * ((1 + values.square()) ** power - 1)) @ vectors.T
