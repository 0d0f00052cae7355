"""How much the matrix of an EKFAC changes if the eigenbases of its Kronecker factors turn by a rounding error."""

import math

import torch
from torch import Tensor

from fishergauge.reference.eigen_kfac import Eigen, EigenKronecker
from fishergauge.reference.factored_blocks import grouped
from fishergauge.reference.kfac import KroneckerBlock, KroneckerFactored

ZERO = 1e-10
"""Of the largest eigenvalue of a factor: directions in which the exact block vanishes as well."""


def eigenbasis_sensitivity(factored: KroneckerFactored, best: EigenKronecker) -> float:
    r"""The change of an EKFAC relative to a change of its factors, to first order.

    A change of a factor X by :math:`\epsilon |X|` turns its eigenvectors i and k into each other by
    :math:`\epsilon |X| / |\lambda_i - \lambda_k|`. With s_i the vector of the eigenvalues of EKFAC that belong to i, this
    changes the matrix by :math:`|s_i - s_k|` times the angle and the eigenvalues, as entries off the diagonal are at most
    :math:`\sqrt{s_i s_k}`, by twice that; together

    .. math:: \Big(\sum_X \sum_{i < k} \frac{|X|^2 \, |s_i + s_k|^2}{(\lambda_i - \lambda_k)^2} \Big)^{1/2} / |s|

    so that small eigenvalues, which lie close together, count for little. A block in which EKFAC is K-FAC counts for nothing:
    there any basis gives the same.

    Args:
        factored: K-FAC, whose factors give the bases.
        best: EKFAC in these bases.

    Returns:
        One or more; infinite where two eigenvalues are equal.
    """
    total, size, pieces = 0.0, 0.0, iter(best.eigen)
    for block in factored.factors.values():
        for names in grouped(block.weight, block.bias, block.joint):
            piece = next(pieces)
            size += float(piece.values.double().square().sum())
            if _is_kfac(block, names, piece):
                continue
            total += _turned(block.output_factor, piece.values)
            if names != [block.bias]:
                total += _turned(block.input_factor, piece.values.T)
    return max(1.0, math.sqrt(total / size)) if size > 0 else 1.0


def _is_kfac(block: KroneckerBlock, names: list[str], piece: Eigen) -> bool:
    """Whether the eigenvalues are the products of those of the factors."""
    outer = torch.linalg.eigvalsh(block.output_factor)
    inner = outer.new_ones(1) if names == [block.bias] else torch.linalg.eigvalsh(block.input_factor)
    apart = (piece.values - torch.outer(outer, inner)).double().norm()
    return bool(apart <= torch.finfo(outer.dtype).eps ** 0.625 * piece.values.double().norm())


def _turned(factor: Tensor, values: Tensor) -> float:
    """The inner sum of one factor; the rows of ``values`` belong to its eigenvectors, the smallest first."""
    own = torch.linalg.eigvalsh(factor).double()
    rows = values.double()
    gram = rows @ rows.T
    squares = gram.diagonal()
    sums = squares[:, None] + squares + 2 * gram  # |s_i + s_k|^2
    gaps = (own[:, None] - own).abs() / own.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    counted = (own[:, None] > ZERO * own[-1]) | (own > ZERO * own[-1])
    counted = counted.triu(1)
    return float((sums[counted] / gaps[counted].square()).sum())
