"""A cell of the spectrum: all approximations of one model in the coordinates of one family, along the condition number."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from fishergauge.reference import FAMILIES, ProblemError, UnsupportedError, reparametrized
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.measurement import Comparer, Comparison, Deviation, refusal
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.prediction import Prediction, predict, through_kernel
from fishergauge.suites.spectrum.row import COINCIDES, Measure, Row
from fishergauge.suites.spectrum.verdict import judged, judged_order
from fishergauge.suites.workers import heartbeat

Deviations = dict[Measure, Deviation | Exception]

LOST = 0.01  # of half the digits: the reference refuses models whose samples agree no better


class Cell(NamedTuple):
    """What is measured together.

    Args:
        model: one of :data:`~fishergauge.suites.spectrum.models.MODELS`.
        data: name of the data set.
        dtype: ``float64`` or ``float32``.
        family: one of the families of reparametrizations.
        subject: a subject that is measured by itself, as it may take the process with it; empty for the catalogue.
    """

    model: str
    data: str
    dtype: str
    family: str
    subject: str = ""


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
    followed, told = list(approximations), dict[str, Row]()
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
        except ProblemError as error:
            yield from (_beyond(cell, one.name, kappa, str(error), told.get(one.name)) for one in present)
            return
        for approximation in tuple(present):
            rows = _rows(cell, comparer, approximation, kappa, full)
            told[approximation.name] = rows[0]
            yield from rows
            heartbeat()
            if kappa >= table and not to_the_end and not _goes_on(rows) and approximation in followed:
                followed.remove(approximation)


def _beyond(cell: Cell, name: str, kappa: float, reason: str, before: Row | None) -> Row:
    """The row of a map that the precision does not have; predicted is what was so at a smaller condition number."""
    row = Row(name, *cell[:4], kappa=kappa, measure="outputs", predicted="unknown", verdict="not-claimed")
    row = replace(row, predicted=before.predicted, source=before.source) if before else row
    return replace(row, reason=f"beyond {cell.dtype}: {reason}")


def _goes_on(rows: Sequence[Row]) -> bool:
    """Whether the outputs were invariant as predicted, so that a larger condition number is worth trying."""
    return any(row.measure == "outputs" and row.predicted == "invariant" and row.verdict == "holds" for row in rows)


def _rows(cell: Cell, comparer: Comparer, approximation: Approximation, kappa: float, full: bool) -> list[Row]:
    base = predict(approximation, comparer.change)
    row = Row(approximation.name, *cell[:4], kappa=kappa, measure="outputs", predicted=base.predicted, source=base.source)
    if comparer.perturbed > LOST * torch.finfo(comparer.origin.problem.dtype).eps ** 0.5:
        reason = f"beyond {cell.dtype}: rounding moves the outputs of the reparametrised model by {comparer.perturbed:.0e}"
        return [replace(row, verdict="not-claimed", reason=reason)]
    try:
        comparison = comparer(approximation)
        deviations = _deviations(comparison, full)
    except Exception as error:
        return [_failed(row, error)]
    after = comparison.after.solution
    row = replace(row, rank=after.rank, condition=after.condition)
    rows = _judged(row, comparison, deviations, approximation)
    if approximation.own and any(one.verdict == "unexpected" for one in rows):
        same = comparer.coinciding(comparison)
        if same is not None:
            rows = _judged(row, comparison, deviations, same, f"{COINCIDES}{same.label}; ")
    return rows


def _deviations(comparison: Comparison, full: bool) -> Deviations:
    """What is measured, or why it could not be; damped steps at the condition number of the table alone."""
    found: Deviations = {
        "outputs": comparison.undamped(),
        "parameters": comparison.in_parameters(),
    }
    if full:
        found["damped by T'T"] = comparison.damped_by_metric()
        try:
            found["damped"] = comparison.damped()
        except Exception as error:  # of the approximation's own damped inverse
            found["damped"] = error
    return found


def _judged(row: Row, comparison: Comparison, deviations: Deviations, theory: Approximation, because: str = "") -> list[Row]:
    """The rows of all measures, predicted by what is known of an approximation."""
    own, lost, predictions = comparison.approximation.own, comparison.lost(), _predictions(comparison, theory)
    rows = []
    for measure, deviation in deviations.items():
        one = _predicted(replace(row, measure=measure), predictions[measure], because)
        if isinstance(deviation, Exception):
            rows.append(_failed(one, deviation))
            continue
        one = replace(one, measured=deviation.measured, bound=deviation.bound)
        one = replace(one, cut=comparison.cut()) if measure == "outputs" else one
        one = judged(one, own, lost if measure in ("outputs", "parameters") else "")
        rows.append(_doubted(one) if predictions[measure].doubtful else one)
    if not comparison.change.linear:
        one = _predicted(replace(row, measure="order"), predictions["outputs"], because)
        one = judged_order(replace(one, measured=comparison.order()), own, comparison.undamped().bound)
        rows.append(_doubted(one) if predictions["outputs"].doubtful else one)
    return rows


def _predictions(comparison: Comparison, theory: Approximation) -> dict[Measure, Prediction]:
    """What theory says, measure by measure."""
    change, outputs, correct = comparison.change, comparison.origin.frame.outputs, comparison.correct
    base = predict(theory, change)
    noise = correct.condition * len(correct.kernel) * torch.finfo(comparison.origin.problem.dtype).eps
    return {
        "outputs": through_kernel(base, correct.kernel, change, outputs, noise),
        "parameters": through_kernel(base, correct.kernel, change, None, noise),
        "damped": predict(theory, change, metric=True),
        "damped by T'T": base,
    }


def _doubted(row: Row) -> Row:
    """A row whose prediction stands on a kernel known up to rounding only: it may hold, and is not refuted."""
    if row.verdict != "violated":
        return row
    reason = f"beyond {row.dtype}: rounding hides whether the map mixes the kernel of the matrix with its range"
    return replace(row, verdict="not-claimed", reason=reason)


def _predicted(row: Row, prediction: Prediction, because: str) -> Row:
    return replace(row, predicted=prediction.predicted, source=because + prediction.source)


def _failed(row: Row, error: Exception) -> Row:
    """A row without a measurement."""
    if refusal(error):
        return replace(row, verdict="unsupported", reason=str(error))
    return replace(row, verdict="error", reason=f"{type(error).__name__}: {error}")
