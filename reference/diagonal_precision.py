"""A diagonal posterior precision."""

import torch
from torch import Tensor

from fishergauge.reference.posterior_precision import PosteriorPrecision, positive


class DiagonalPrecision(PosteriorPrecision):
    r"""The matrix :math:`\Lambda = \operatorname{diag}(f c + \delta)` with the root :math:`W = \Lambda^{-1/2}`.

    Args:
        diagonal: c, ``(P,)``.
        factor: f, a scalar.
        prior: delta, ``(P,)``.

    Raises:
        ProblemError: an entry is not positive.
    """

    def __init__(self, diagonal: Tensor, factor: Tensor, prior: Tensor) -> None:
        super().__init__(len(diagonal))
        self.entries = positive(factor * diagonal + prior, "an entry of the diagonal")

    def dense(self) -> Tensor:
        return torch.diag(self.entries)

    def logdet(self) -> Tensor:
        return self.entries.log().sum()

    def unwhiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return rows * self.entries.rsqrt()

    def project(self, rows: Tensor) -> Tensor:
        return self.unwhiten(rows)  # W is symmetric

    def whiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return rows * self.entries.sqrt()

    def variance(self) -> Tensor:
        return self.entries.reciprocal()
