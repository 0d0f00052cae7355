"""A posterior precision of independent blocks of parameters."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fishergauge.reference.posterior_precision import PosteriorPrecision

Piece = tuple[Tensor, PosteriorPrecision]


class ComposedPrecision(PosteriorPrecision):
    r"""The block-diagonal matrix of smaller precisions, :math:`\Lambda = \bigoplus_b \Lambda_b`.

    Args:
        pieces: where the parameters of each block stand in the vector, ``(P_b,)``, and the precision of the block;
            together they hold every parameter once.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        super().__init__(sum(piece.size for _, piece in pieces))
        self.pieces = tuple(pieces)

    def dense(self) -> Tensor:
        blocks = [piece.dense() for _, piece in self.pieces]
        matrix = blocks[0].new_zeros(self.shape)
        for (index, _), block in zip(self.pieces, blocks, strict=True):
            matrix[index[:, None], index] = block
        return matrix

    def logdet(self) -> Tensor:
        return torch.stack([piece.logdet() for _, piece in self.pieces]).sum()

    def unwhiten(self, rows: Tensor) -> Tensor:
        return self._by_piece(rows, lambda piece, part: piece.unwhiten(part))

    def project(self, rows: Tensor) -> Tensor:
        return self._by_piece(rows, lambda piece, part: piece.project(part))

    def whiten(self, rows: Tensor) -> Tensor:
        return self._by_piece(rows, lambda piece, part: piece.whiten(part))

    def variance(self) -> Tensor:
        variances = [piece.variance() for _, piece in self.pieces]
        result = variances[0].new_zeros(self.size)
        for (index, _), variance in zip(self.pieces, variances, strict=True):
            result[index] = variance
        return result

    def _by_piece(self, rows: Tensor, action: Callable[[PosteriorPrecision, Tensor], Tensor]) -> Tensor:
        """The action of each block on its part of the rows."""
        self._check(rows)
        result = torch.zeros_like(rows)
        for index, piece in self.pieces:
            result[:, index] = action(piece, rows[:, index])
        return result
