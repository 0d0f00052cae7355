"""How well the eigenbases of Kronecker factors are determined."""

from itertools import pairwise

import torch
from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.reference.eigen_kfac import eigen_kfac
from fishergauge.reference.kfac import kfac
from fishergauge.suites.subject import Subject

ZERO = 1e-10  # of the largest: directions in which the exact block vanishes as well


def basis_condition(problem: Problem, subject: Subject, exact: Tensor) -> float:
    r"""The largest :math:`|X| / (\lambda_{i+1} - \lambda_i)` over the factors X of all layers, zero eigenvalues aside.

    Args:
        problem: whose factors are taken.
        subject: its target, treatment of the bias and of shared weights.
        exact: the target, ``(P, P)``; where EKFAC equals its blocks, any basis will do.

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
    blocks, worst = best.dense(), 1.0
    inside = blocks != 0
    if float((torch.where(inside, exact, 0) - blocks).norm()) <= 1e-10 * float(blocks.norm()):
        return 1.0
    for block in factored.factors.values():
        for factor in (block.input_factor, block.output_factor):
            if factor is None or len(factor) < 2:
                continue
            values = torch.linalg.eigvalsh(factor.double())
            values = values[values > ZERO * float(values[-1])]
            gaps = [float(b - a) for a, b in pairwise(values)]
            worst = max([worst, *(float(values[-1]) / max(gap, 1e-300) for gap in gaps)])
    return worst
