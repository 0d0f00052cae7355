"""Verdicts: whether prediction and measurement agree, as far as rounding lets it be decided."""

import math
from dataclasses import replace

from fishergauge.suites.spectrum.row import Row

DECIDED = 0.1  # a bound from here on leaves nothing to be decided
RESOLVED = 1e-6  # a bound up to here leaves no doubt that a step which keeps it is invariant
SLOPE = 0.05  # how far a fitted exponent may lie from one
FINE = 1e-5  # a bound up to here lets the deviation of the shortest step be seen
FLAT = 0.5  # an exponent up to here is that of a deviation which does not fall


def judged(row: Row, own: bool, lost: str = "") -> Row:
    """The row with its verdict.

    Args:
        row: predicted and measured.
        own: whether the approximation is of the catalogue; a subject under test is told what it promises only.
        lost: how many eigenvalues stand above the cut-off in both coordinates, where the numbers differ.
    """
    assert row.measured is not None
    assert row.bound is not None
    if row.predicted == "unknown":
        return replace(row, verdict="not-claimed", reason="nothing is promised", promised=False)
    if row.predicted == "not invariant":
        if not own:
            return replace(row, verdict="not-claimed", reason=f"not promised: {row.source}", promised=False)
        if row.measured > row.bound:
            return row
        if row.bound <= RESOLVED:
            return replace(row, verdict="unexpected", reason="it is invariant, although nothing predicts it")
        return replace(row, verdict="not-claimed", reason=f"rounding alone explains {row.bound:.0e}")
    if lost:
        reason = f"beyond {row.dtype}: {lost} eigenvalues stand above the cut-off"
        return replace(row, verdict="not-claimed", bound=None, reason=reason)  # a bound speaks of the eigenvalues that are left
    if not row.bound <= DECIDED:
        return replace(row, verdict="not-claimed", reason=f"beyond {row.dtype}: rounding alone explains {row.bound:.0e}")
    return row if row.measured <= row.bound else replace(row, verdict="violated")


def judged_order(row: Row, own: bool, bound: float) -> Row:
    """The row of a fitted exponent with its verdict: one for first-order invariance, zero for none.

    Args:
        row: predicted, and the exponent as ``measured``.
        own: as for :func:`judged`.
        bound: what rounding explains of the deviation in the limit of short steps.
    """
    fitted = row.measured
    assert fitted is not None
    row = replace(row, bound=SLOPE)
    if row.predicted == "unknown" or (row.predicted == "not invariant" and not own):
        return replace(row, verdict="not-claimed", reason="not promised", promised=False)
    if bound > FINE or math.isnan(fitted):
        return replace(row, verdict="not-claimed", reason=f"beyond {row.dtype}: rounding hides how the deviation falls")
    if row.predicted == "first order":
        return row if abs(fitted - 1) <= SLOPE else replace(row, verdict="violated")
    if fitted <= FLAT:
        return row
    return replace(row, verdict="unexpected", reason="the deviation falls with the step, although nothing predicts it")
