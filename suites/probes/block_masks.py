r"""A block-diagonal matrix commutes with weights that are constant on its blocks: :math:`A (w \circ x) = w \circ A x`."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fishergauge.suites.probes.locating import farthest
from fishergauge.suites.probes.power import largest_growth, least_growth
from fishergauge.suites.probes.probe import MISSED
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import norm, quotient


class Leak:
    r"""What a matrix has between blocks, by a product with each shared vector x whose blocks b are weighed by normal w_b.

    .. math:: [A (w \circ x) - w \circ A x]_a = \sum_b (w_b - w_a) A_{ab} x_b

    which vanishes for every block-diagonal matrix.

    Args:
        case: its shared vectors and their products are used again; four vectors of length P beside them, one product for each.
        slices: the blocks.
    """

    def __init__(self, case: ProbeCase, slices: Mapping[str, slice]) -> None:
        self.slices = slices
        vectors, products, _ = case.shared()
        weights = torch.randn(len(slices), case.columns, generator=case.generator("leak", *slices), dtype=torch.float64)
        total = size = 0.0
        farther = -1.0
        for column in range(case.columns):
            mask = _spread(weights[:, column], slices, vectors[:, 0])
            before = case.product(mask * vectors[:, column])
            after = mask * products[:, column]
            leaked = norm(before - after)
            total, size = total + leaked**2, size + norm(before) ** 2 + norm(after) ** 2
            if leaked > farther:
                farther, self.where = leaked, farthest(before, after, slices)
        self.measured = quotient(total**0.5, size**0.5)
        self._widest, self._least = float(weights.abs().max()), _least_distance(weights)
        self._columns = case.columns

    def power(self, bound: float, missed: float = MISSED) -> float:
        r"""The smallest norm of what leaks between two blocks, relative to |A|_F, that exceeds the bound.

        .. math:: \sum_j d_j^2 z_j^2 \ge \prod_j d_j^{2/k} \, \chi^2_k, \qquad d_j = |w_{bj} - w_{aj}|,

        in the lower tail: of all ellipsoids of a volume the ball holds most of a normal distribution. The weights are known;
        the two blocks that they tell apart least count. The size is :math:`\sqrt 2 \max |w| \, |A X|_F` at most.

        Args:
            bound: on :attr:`measured`.
            missed: the probability of missing it.
        """
        size = 2**0.5 * self._widest * largest_growth(self._columns, missed / 3)
        return bound * size / (self._least * least_growth(self._columns, missed / 3))


def _spread(weights: Tensor, slices: Mapping[str, slice], like: Tensor) -> Tensor:
    """Weights of blocks as a vector."""
    mask = torch.empty_like(like)
    for weight, part in zip(weights.tolist(), slices.values(), strict=True):
        mask[part] = weight
    return mask


def _least_distance(weights: Tensor) -> float:
    """The geometric mean over the columns of the distance of two blocks' weights, for the pair that is closest."""
    distances = (weights[:, None] - weights[None]).abs().log().mean(-1).exp()
    distances.fill_diagonal_(math.inf)
    return float(distances.min())
