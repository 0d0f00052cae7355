"""A cell of the spectrum: all approximations of one model in the coordinates of one family, along the condition number."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from fishergauge.reference import FAMILIES, UnsupportedError, reparametrized
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.measurement import Comparer, Comparison, Deviation, refusal
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.prediction import Prediction, predict, through_kernel
from fishergauge.suites.spectrum.row import Measure, Row
from fishergauge.suites.workers import heartbeat

DECIDED = 0.1  # a bound from here on leaves nothing to be decided
RESOLVED = 1e-6  # a bound up to here leaves no doubt that a step which keeps it is invariant
LOST = 0.01  # of half the digits: the reference refuses models whose samples agree no better
SLOPE = 0.05  # how far a fitted exponent may lie from one
FINE = 1e-5  # a bound up to here lets the deviation of the shortest step be seen
FLAT = 0.5  # an exponent up to here is that of a deviation which does not fall


class Cell(NamedTuple):
    """What is measured together.

    Args:
        model: one of :data:`~fishergauge.suites.spectrum.models.MODELS`.
        data: name of the data set.
        dtype: ``float64`` or ``float32``.
        family: one of the families of reparametrizations.
    """

    model: str
    data: str
    dtype: str
    family: str


def measured(
    cell: Cell,
    origin: Origin,
    approximations: Sequence[Approximation],
    kappas: Sequence[float],
    table: float,
    to_the_end: bool = False,
) -> Iterator[Row]:
    """The rows of a cell.

    Args:
        cell: what is measured.
        origin: the problem, in the precision of the cell.
        approximations: those that are compared.
        kappas: condition numbers, ascending. An approximation is followed along those beyond the table as long as it is
            invariant as predicted.
        table: the condition number of the table, at which all measures are taken of all approximations.
        to_the_end: whether all approximations are followed along all condition numbers, invariant or not.

    Yields:
        A row for each measure.
    """
    followed = list(approximations)
    conditioned = FAMILIES[cell.family].conditioned
    chosen = sorted({table, *(kappa for kappa in kappas if to_the_end or kappa > table)}) if conditioned else [1.0]
    for kappa in chosen:
        full = kappa == table or not conditioned
        present = approximations if full else followed
        if not present:
            return
        try:
            comparer = Comparer(origin, reparametrized(origin.problem, cell.family, kappa))
        except UnsupportedError:
            return
        for approximation in tuple(present):
            rows = list(_rows(cell, comparer, approximation, kappa, full))
            yield from rows
            heartbeat()
            if kappa >= table and not to_the_end and not _goes_on(rows) and approximation in followed:
                followed.remove(approximation)


def _goes_on(rows: Sequence[Row]) -> bool:
    """Whether the outputs were invariant as predicted, so that a larger condition number is worth trying."""
    return any(row.measure == "outputs" and row.predicted == "invariant" and row.verdict == "holds" for row in rows)


def _rows(cell: Cell, comparer: Comparer, approximation: Approximation, kappa: float, full: bool) -> Iterator[Row]:
    change = comparer.change
    base = predict(approximation, change)
    row = Row(approximation.name, *cell, kappa=kappa, measure="outputs", predicted=base.predicted, source=base.source)
    if comparer.perturbed > LOST * torch.finfo(comparer.origin.problem.dtype).eps ** 0.5:
        reason = f"beyond {cell.dtype}: rounding moves the outputs of the reparametrised model by {comparer.perturbed:.0e}"
        yield replace(row, verdict="not-claimed", reason=reason)
        return
    try:
        comparison = comparer(approximation)
        before, outputs = comparison.before.solution, comparer.origin.outputs
        noise = before.condition * before.kernel.shape[0] * torch.finfo(comparer.origin.problem.dtype).eps
        taken: list[tuple[Measure, Prediction, Deviation]] = [
            ("outputs", through_kernel(base, before.kernel, change, outputs, noise), comparison.undamped()),
            ("parameters", through_kernel(base, before.kernel, change, None, noise), comparison.in_parameters()),
        ]
        if full:
            taken.append(("damped", predict(approximation, change, metric=True), comparison.damped()))
            taken.append(("damped by T'T", base, comparison.damped_by_metric()))
    except Exception as error:
        yield _failed(row, approximation, error, FAMILIES[cell.family].layerwise)
        return
    after = comparison.after.solution
    row = replace(row, rank=after.rank, condition=after.condition)
    for measure, prediction, deviation in taken:
        one = replace(
            row,
            measure=measure,
            predicted=prediction.predicted,
            source=prediction.source,
            measured=deviation.measured,
            bound=deviation.bound,
        )
        if measure == "outputs":
            one = replace(one, cut=comparison.cut())
        lost = measure in ("outputs", "parameters") and after.rank != comparison.before.solution.rank
        yield judged(one, approximation, f"{after.rank} of {comparison.before.solution.rank}" if lost else "")
    if not change.linear:
        yield _order(replace(row, measure="order"), approximation, comparison, taken[0][1], taken[0][2])


def judged(row: Row, approximation: Approximation, lost: str = "") -> Row:
    """The row with its verdict.

    Args:
        row: predicted and measured.
        approximation: whether it is of the catalogue decides what a missing promise means.
        lost: how many eigenvalues stand above the cut-off in both coordinates, where the numbers differ.
    """
    assert row.measured is not None
    assert row.bound is not None
    if row.predicted == "unknown":
        return replace(row, verdict="not-claimed", reason="nothing is promised", promised=False)
    if row.predicted == "not invariant":
        if not approximation.own:
            return replace(row, verdict="not-claimed", reason=f"not promised: {row.source}", promised=False)
        if row.measured > row.bound:
            return row
        if row.bound <= RESOLVED:
            return replace(row, verdict="unexpected", reason="it is invariant, although nothing predicts it")
        return replace(row, verdict="not-claimed", reason=f"rounding alone explains {row.bound:.0e}")
    if lost:
        reason = f"beyond {row.dtype}: {lost} eigenvalues stand above the cut-off P eps"
        return replace(row, verdict="not-claimed", reason=reason)
    if not row.bound <= DECIDED:
        return replace(row, verdict="not-claimed", reason=f"beyond {row.dtype}: rounding alone explains {row.bound:.0e}")
    return row if row.measured <= row.bound else replace(row, verdict="violated")


def _order(row: Row, approximation: Approximation, comparison: Comparison, prediction: Prediction, limit: Deviation) -> Row:
    """The fitted exponent: one for first-order invariance, zero for none."""
    fitted = comparison.order()
    row = replace(row, predicted=prediction.predicted, source=prediction.source, measured=fitted, bound=SLOPE)
    if row.predicted == "unknown" or (row.predicted == "not invariant" and not approximation.own):
        return replace(row, verdict="not-claimed", reason="not promised", promised=False)
    if limit.bound > FINE or math.isnan(fitted):
        return replace(row, verdict="not-claimed", reason=f"beyond {row.dtype}: rounding hides how the deviation falls")
    if row.predicted == "first order":
        return row if abs(fitted - 1) <= SLOPE else replace(row, verdict="violated")
    if fitted <= FLAT:
        return row
    return replace(row, verdict="unexpected", reason="the deviation falls with the step, although nothing predicts it")


def _failed(row: Row, approximation: Approximation, error: Exception, layerwise: bool) -> Row:
    """A row without a measurement. A matrix made of layers may well fail where parameters belong to none."""
    unsupported = refusal(error) or (approximation.layered and not layerwise)
    reason = f"{type(error).__name__}: {error}" if not unsupported else str(error)
    return replace(row, verdict="unsupported" if unsupported else "error", reason=reason)


def dtype_of(name: str) -> torch.dtype:
    """The dtype of that name."""
    found: torch.dtype = getattr(torch, name)
    return found
