"""How well the eigenbases of Kronecker factors are determined."""

from itertools import pairwise

import torch
from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.reference.eigen_kfac import Eigen, eigen_kfac
from fishergauge.reference.factored_blocks import grouped
from fishergauge.reference.kfac import kfac
from fishergauge.suites.subject import Subject

ZERO = 1e-10  # of the largest: directions in which the exact block vanishes as well


def basis_condition(problem: Problem, subject: Subject, exact: Tensor) -> float:
    r"""The largest :math:`|X| / (\lambda_{i+1} - \lambda_i)` over the factors X of all layers, zero eigenvalues aside.

    Args:
        problem: whose factors are taken.
        subject: its target, treatment of the bias and of shared weights.
        exact: the target, ``(P, P)``; a layer in which EKFAC equals it counts for nothing, as any basis will do.

    Returns:
        One or more; one where the reference does not cover the model.
    """
    if subject.target == "hessian":
        return 1.0
    bias = subject.bias or "joint"
    try:
        factored = kfac(problem, subject.target, bias, subject.sharing)
        best = eigen_kfac(problem, subject.target, bias, subject.sharing)
    except UnsupportedError:
        return 1.0
    worst, pieces = 1.0, iter(best.eigen)
    for block in factored.factors.values():
        own = [next(pieces) for _ in grouped(block.weight, block.bias, block.joint)]
        if all(_is_exact(piece, exact) for piece in own):
            continue
        for factor in (block.input_factor, block.output_factor):
            if factor is None or len(factor) < 2:
                continue
            values = torch.linalg.eigvalsh(factor.double())
            values = values[values > ZERO * float(values[-1])]
            gaps = [float(b - a) for a, b in pairwise(values)]
            worst = max([worst, *(float(values[-1]) / max(gap, 1e-300) for gap in gaps)])
    return worst


def _is_exact(piece: Eigen, exact: Tensor) -> bool:
    """Whether EKFAC equals the target in a block, so that any eigenbasis gives the same."""
    index, block = piece.index.flatten(), piece.dense()
    difference, size = float((exact[index[:, None], index] - block).norm()), float(block.norm())
    return bool(difference <= torch.finfo(exact.dtype).eps ** 0.625 * size)
