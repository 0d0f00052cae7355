"""Shampoo's Kronecker factors as an approximation of the Fisher or of its relatives."""

import torch
from torch import Tensor

from fishergauge.reference.curvature import symmetrized
from fishergauge.reference.factored_blocks import FactoredBlocks, parameter_index
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import KfacTarget, Kronecker, gauss_newton_of
from fishergauge.reference.problem import Problem


def shampoo(problem: Problem, target: KfacTarget = "empirical-fisher", root_of: GaussNewton | None = None) -> FactoredBlocks:
    r"""The block :math:`(L \otimes R) / \operatorname{tr} L` for each parameter.

    With the gradients :math:`g_k` of the terms as matrices ``(D_out, D_in)``,

    .. math:: L = \frac{1}{M} \sum_k \mathrm E[g_k g_k'], \qquad R = \frac{1}{M} \sum_k \mathrm E[g_k' g_k].

    One step of the power iteration toward the best Kronecker approximation of the exact block, from the
    identity; exact where the block is a Kronecker product. The block of a bias, one column, is exact.

    Args:
        problem: P parameters, of any modules; a parameter is flattened to a matrix behind its first axis.
        target: the matrix whose blocks are approximated, that is, at which labels the gradients are taken.
        root_of: a matrix of this problem to take in place of ``target``.

    Returns:
        An operator of shape (P, P); positive semi-definite, zero between parameters.

    Raises:
        UndefinedError: the target is the Fisher and the objective is no negative log-likelihood.
        ProblemError: there is no such target.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> shampoo(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))])).dense()
        tensor([[4.]])

    Reference:
        Gupta, Koren and Singer, "Shampoo: preconditioned stochastic tensor optimization", ICML 2018; Morwani et al.,
        "A new perspective on Shampoo's preconditioner", 2024, sec. 3.
    """
    matrix = gauss_newton_of(problem, target) if root_of is None else root_of
    index = parameter_index(problem)
    left = {name: problem.vector.new_zeros(len(places), len(places)) for name, places in index.items()}
    right = {name: problem.vector.new_zeros(2 * places.shape[1:]) for name, places in index.items()}
    for rows in matrix.rows():
        for name, places in index.items():
            gradients = rows[:, places]
            left[name] += torch.einsum("noi,npi->op", gradients, gradients)
            right[name] += torch.einsum("noi,noj->ij", gradients, gradients)
    pieces = [Kronecker(index[name], symmetrized(left[name]), _normalised(right[name])) for name in index]
    return FactoredBlocks(problem, pieces)


def _normalised(factor: Tensor) -> Tensor:
    """The factor over its trace; zero for the zero matrix."""
    trace = factor.diagonal().sum()
    return symmetrized(factor) / trace if bool(trace > 0) else factor
