"""Comparison of two matrices as a finding: relative deviation, bound, and the place where the deviation sits."""

import math
from fractions import Fraction

import torch
from torch import Tensor

from fishergauge.reference import Problem, block_slices
from fishergauge.suites.claim import Finding
from fishergauge.suites.closeness import relative_deviation, rounding_bound

EQUAL_RATIOS = 1e-6  # entries whose ratios agree so far are one factor


def compared(
    actual: Tensor, expected: Tensor, problem: Problem, *, scale: float | None = None, condition: float = 1.0, note: str = ""
) -> Finding:
    r"""The relative deviation :math:`|A - B|_F / |B|_F` against :math:`64 u \sqrt{n} \kappa`, n as in :func:`summands`.

    Args:
        actual: ``(P, P)``, of the subject; its dtype sets the unit round-off u.
        expected: ``(P, P)``.
        problem: names the blocks of the witness.
        scale: norm to divide by instead of that of ``expected``, where that is the small difference of large quantities.
        condition: kappa, where an inverse is involved.
        note: passed on.

    Returns:
        The finding, with a witness where it does not hold.
    """
    bound = rounding_bound(actual.dtype, summands(problem), condition)
    reach = max(float(expected.double().norm()), scale or 0.0)
    measured = relative_deviation(actual, expected, reach or None)
    formula = "64 u sqrt(n)" + (f" * {condition:.1e}" if condition != 1 else "")
    witness = "" if measured <= bound else witness_of(actual, expected, problem)
    return Finding(measured, bound, formula, witness, note)


def summands(problem: Problem) -> int:
    """n of the rounding bound: the number of parameters or of labels, whichever is larger; sums run over either."""
    return max(problem.num_parameters, sum(targets.numel() for _, targets in problem.batches))


def worst(*findings: Finding) -> Finding:
    """The finding that comes closest to, or farthest beyond, its bound.

    Args:
        findings: at least one.
    """
    return max(findings, key=lambda f: math.inf if math.isnan(f.measured) else f.measured / f.bound if f.bound else math.inf)


def witness_of(actual: Tensor, expected: Tensor, problem: Problem) -> str:
    """The pair of parameters with the largest deviation, and the ratio or the entry there."""
    slices = block_slices(problem, "parameter")
    difference = actual.double() - expected.double()
    norms = {(a, b): float(difference[s, t].norm()) for a, s in slices.items() for b, t in slices.items()}
    row, column = max(norms, key=lambda pair: norms[pair])
    mine, right = actual[slices[row], slices[column]].double(), expected[slices[row], slices[column]].double()
    where = row if row == column else f"{row} x {column}"
    return f"{where}: {ratio_of(mine, right)}"


def ratio_of(actual: Tensor, expected: Tensor) -> str:
    """One factor if there is one, else the entry with the largest deviation, in words.

    Args:
        actual: in float64, of any shape.
        expected: of the same shape.
    """
    size = float(expected.abs().max())
    if size == 0:
        return f"norm {float(actual.norm()):.3g} where zero is expected"
    if float(actual.abs().max()) == 0:
        return f"zero, expected norm {float(expected.norm()):.3g}"
    kept = expected.abs() > 1e-6 * size
    ratios = actual[kept] / expected[kept]
    factor = float(ratios.median())
    apart = float((actual - factor * expected).norm()) / float(expected.norm())
    if apart <= EQUAL_RATIOS * abs(factor) and abs(factor - 1) > EQUAL_RATIOS:
        return f"ratio to the expected block {factor:.6g}{_as_fraction(factor)} in every entry"
    index = [int(i) for i in torch.unravel_index((actual - expected).abs().argmax(), actual.shape)]
    here = tuple(index)
    relative = abs(float(actual[here] - expected[here])) / size
    entry = f"entry {index} is {float(actual[here]):.6g}, expected {float(expected[here]):.6g}"
    return f"{entry}, off by {relative:.1e} of the largest"


def _as_fraction(value: float) -> str:
    """``= 1/12`` for a factor that is a simple fraction."""
    simple = Fraction(value).limit_denominator(64)
    near = simple != 0 and abs(float(simple) / value - 1) < EQUAL_RATIOS
    return f" = {simple}" if near and simple.denominator > 1 else ""
