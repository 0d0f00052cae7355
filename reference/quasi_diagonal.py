"""The quasi-diagonal reduction: for each unit the diagonal, and the products with its bias."""

import math

import torch
from torch import Tensor, nn

from fishergauge.reference.factored_blocks import ROUNDING, Block, FactoredBlocks, parameter_index
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import KfacTarget, gauss_newton_of
from fishergauge.reference.problem import Problem

UNITS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def quasi_diagonal(problem: Problem, target: KfacTarget = "fisher", root_of: GaussNewton | None = None) -> "QuasiDiagonal":
    r"""Exact diagonal and exact products of each weight with the bias of its unit, completed to a matrix.

    For a unit with bias b and incoming weights :math:`w_i`

    .. math::
        Q_{bb} = F_{bb}, \quad Q_{b w_i} = F_{b w_i}, \quad Q_{w_i w_i} = F_{w_i w_i}, \quad
        Q_{w_i w_j} = F_{w_i b} F_{b w_j} / F_{bb},

    the completion whose inverse is the quasi-diagonal inverse; zero between units, and the diagonal alone for
    parameters without a bias. A unit is an output of ``Linear`` or an output channel of a convolution.

    Args:
        problem: P parameters.
        target: ``"fisher"``, ``"ggn"`` or ``"empirical-fisher"``, the matrix F.
        root_of: a matrix of this problem to take in place of ``target``.

    Returns:
        An operator of shape (P, P); positive semi-definite.

    Raises:
        UndefinedError: the target is the Fisher and the objective is no negative log-likelihood.
        ProblemError: there is no such target.

    Example:
        >>> problem = Problem(nn.Linear(1, 1), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> quasi_diagonal(problem).dense().round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Ollivier, "Riemannian metrics for neural networks I: feedforward networks", Information and Inference 4
        (2015), sec. 2.3.
    """
    matrix = gauss_newton_of(problem, target) if root_of is None else root_of
    index, paired = parameter_index(problem), _pairs(problem)
    bias_of = dict(paired)
    diagonal = problem.vector.new_zeros(problem.num_parameters)
    cross = {weight: index[weight].new_zeros(index[weight].shape, dtype=problem.dtype) for weight in bias_of}
    for rows in matrix.rows():
        diagonal += rows.square().sum(0)
        for weight, bias in paired:
            cross[weight] += torch.einsum("noi,no->oi", rows[:, index[weight]], rows[:, index[bias][:, 0]])
    pieces: list[Block] = []
    for name, places in index.items():
        if name in bias_of:
            bias_places = index[bias_of[name]]
            pieces.append(
                Units(torch.cat([bias_places, places], 1), diagonal[bias_places[:, 0]], cross[name], diagonal[places])
            )
        elif name not in bias_of.values():
            pieces.append(Units(places, None, None, diagonal[places]))
    return QuasiDiagonal(problem, pieces)


def _pairs(problem: Problem) -> list[tuple[str, str]]:
    """Weights and biases, both trained, of the modules that consist of units."""
    pairs = []
    for name, module in problem.model.named_modules():
        prefix = f"{name}." if name else ""
        pair = (f"{prefix}weight", f"{prefix}bias")
        if isinstance(module, UNITS) and all(part in problem.parameters for part in pair):
            pairs.append(pair)
    return pairs


class Units(Block):
    r"""Units as rank-one matrices plus diagonals, :math:`c c' + \mathrm{diag}(0, d)`.

    Here :math:`c = (F_{bb}, F_{bw}) / \sqrt{F_{bb}}`, the bias first.

    Args:
        index: where the entries stand, ``(units, 1 + weights)``, the bias first; without bias ``(units, weights)``.
        bias: the diagonal at the biases, ``(units,)``; None without bias.
        cross: the products of weights and bias, ``(units, weights)``; None without bias.
        weights: the diagonal at the weights, ``(units, weights)``.
    """

    def __init__(self, index: Tensor, bias: Tensor | None, cross: Tensor | None, weights: Tensor) -> None:
        super().__init__(index)
        if bias is None or cross is None:
            self.rank_one, self.rest = torch.zeros_like(weights), weights
            return
        zero = torch.zeros_like(bias)[:, None]
        root = bias.sqrt()[:, None]
        coupled = torch.where(root > 0, cross / root, 0)  # where F_bb is zero, so is F_bw
        self.rank_one = torch.cat([root, coupled], 1)
        self.rest = torch.cat([zero, (weights - coupled.square()).clamp(min=0)], 1)

    def by_unit(self) -> Tensor:
        """The matrices of the units, ``(units, D, D)``."""
        return self.rank_one[:, :, None] * self.rank_one[:, None, :] + torch.diag_embed(self.rest)

    def dense(self) -> Tensor:
        dense: Tensor = torch.block_diag(*self.by_unit())  # type: ignore[no-untyped-call]
        return dense

    def diagonal(self) -> Tensor:
        return self.rank_one.square() + self.rest

    def product(self, matrices: Tensor) -> Tensor:
        return self.rank_one * (self.rank_one * matrices).sum(-1, keepdim=True) + self.rest * matrices

    def solve(self, matrix: Tensor, damping: float, cutoff: Tensor) -> Tensor:
        """The damped inverse unit by unit; eigenvalues up to the cut-off are left out at zero damping."""
        values, vectors = torch.linalg.eigh(self.by_unit())
        divisors = values.clamp(min=0) + damping if damping > 0 else values.masked_fill(values <= cutoff, math.inf)
        solved: Tensor = vectors @ (vectors.mT @ matrix[:, :, None] / divisors[:, :, None])
        return solved[:, :, 0]


class QuasiDiagonal(FactoredBlocks):
    """See :func:`quasi_diagonal`."""

    def solve(self, vector: Tensor, damping: float = 0.0) -> Tensor:
        """(Q + lambda I)^-1 v, unit by unit; the pseudo-inverse at zero damping.

        Args:
            vector: ``(P,)``.
            damping: lambda, not negative.

        Returns:
            ``(P,)``.

        Raises:
            ProblemError: the damping is negative, or the vector has another shape.
        """
        cutoff = ROUNDING * self.shape[0] * torch.finfo(vector.dtype).eps * self.diagonal().max()
        return self._by_piece(vector, damping, lambda piece, part: piece.solve(part, damping, cutoff))
