"""What the rows of a spectrum say, condensed: a matrix of deviations, what damping costs, what the pseudo-inverse costs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from fishergauge.reference import FAMILIES
from fishergauge.suites.spectrum.execution import TABLE
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.spectrum.verdict import DECIDED

MARKS = {
    "=": "invariant, as predicted",
    "~": "to first order, as predicted",
    "x": "not invariant, as predicted",
    "/": "predicted for some of the models only, and so it is",
    "?": "not decidable in this precision",
    "*": "nothing promised, measured for information",
    "!": "contradicted, see below",
}
KEPT = ("invariant", "first order")
JUDGED = ("holds", "violated", "unexpected")


class Entry(NamedTuple):
    """An approximation and a family.

    Args:
        deviation: the largest over the models and data where measurement decides; where nothing is promised, over those where
            rounding explains less; None where there is none.
        expected: a mark that says what was predicted there, one of :data:`MARKS`; ``-`` for unsupported.
        red: whether some row contradicts it, also in another precision, measure or at another condition number.
        undecided: how many rows are left out, as nothing can be decided.
    """

    deviation: float | None
    expected: str
    red: bool = False
    undecided: int = 0

    @property
    def mark(self) -> str:
        """What was predicted, or that it is contradicted."""
        return "!" if self.red else self.expected

    @property
    def exponent(self) -> float:
        """The logarithm of the deviation to base ten."""
        if self.deviation is None or math.isnan(self.deviation):
            return math.nan
        return math.log10(self.deviation) if self.deviation > 0 else -math.inf


def table_dtype(rows: Iterable[Row]) -> str:
    """The precision of the matrix: float64 where there is any."""
    return "float64" if any(row.dtype == "float64" for row in rows) else "float32"


def at_table(row: Row) -> bool:
    """Whether a row belongs to the matrix: at its condition number, or of a family without."""
    return row.kappa == TABLE or not FAMILIES[row.family].conditioned


def matrix(rows: Sequence[Row], model: str | None = None) -> dict[tuple[str, str], Entry]:
    """Approximation and family to the largest deviation of the outputs at the condition number of the table.

    Args:
        rows: of a spectrum.
        model: the only one that is looked at; all by default.

    Returns:
        An entry for each pair of which there is a row that is measured or red, or that says that it is not supported.
    """
    dtype = table_dtype(rows)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if model in (None, row.model):
            groups.setdefault((row.approximation, row.family), []).append(row)
    found = {}
    for key, group in groups.items():
        chosen = [row for row in group if row.measure == "outputs" and at_table(row) and row.dtype == dtype]
        red = any(row.red for row in group)
        if chosen or red:
            found[key] = _entry(chosen, red)
    return found


def _entry(rows: Sequence[Row], red: bool) -> Entry:
    """Number and mark of the same rows: of those that are decided, or else of those of which nothing is promised."""
    decided = [row for row in rows if row.verdict in JUDGED]
    told = [row for row in rows if not row.promised and row.bound is not None and row.bound <= DECIDED]
    undecided = sum(row.verdict == "not-claimed" for row in rows if row not in told)
    measured = [row.measured for row in decided or told if row.measured is not None]
    if not measured:
        unsupported = any(row.verdict == "unsupported" for row in rows)
        return Entry(None, "?" if undecided else "-" if unsupported else "!", red, undecided)
    predicted = {row.predicted for row in decided}
    alone = {"invariant": "=", "first order": "~", "not invariant": "x"}
    mark = "*" if not decided else "/" if len(predicted) > 1 else alone.get(predicted.pop(), "?")
    return Entry(max(measured), mark, red, undecided)


def line_of(row: Row) -> tuple[str, ...]:
    """What rows at different condition numbers share."""
    return row.model, row.data, row.dtype, row.family, row.approximation


@dataclass(frozen=True)
class Cost:
    """What damping costs an approximation where it is invariant without, in the cells where all of it is decided.

    Args:
        cells: their number.
        undamped: median and largest deviation of the outputs; ``metric``: damped by lambda T'T; ``damped``: by lambda I.
    """

    cells: int
    undamped: tuple[float, float]
    metric: tuple[float, float]
    damped: tuple[float, float]


def damping_costs(rows: Sequence[Row]) -> dict[str, Cost]:
    """For each approximation, the deviations where lambda T'T is predicted to keep invariance and lambda I to lose it.

    Args:
        rows: of a spectrum.
    """
    dtype = table_dtype(rows)
    cells: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        if at_table(row) and row.dtype == dtype and row.measured is not None:
            cells.setdefault(line_of(row), {})[row.measure] = row
    taken: dict[str, list[tuple[float, float, float]]] = {}
    for cell in cells.values():
        if {"outputs", "damped", "damped by T'T"} <= set(cell):
            rest, metric, damped = cell["outputs"], cell["damped by T'T"], cell["damped"]
            kept = rest.verdict == "holds" and rest.predicted == metric.predicted == "invariant"
            decided = all(row.verdict in JUDGED for row in (metric, damped))
            if kept and decided and damped.predicted == "not invariant":
                values = [row.measured for row in (rest, metric, damped) if row.measured is not None]
                taken.setdefault(rest.approximation, []).append((values[0], values[1], values[2]))
    return {
        name: Cost(len(values), *((median(part), max(part)) for part in zip(*values, strict=True)))
        for name, values in taken.items()
    }


@dataclass(frozen=True)
class KernelCost:
    """What the pseudo-inverse costs on a model, in the cells where outputs and parameters are decided.

    Args:
        outputs: the largest deviation of the outputs in the cells where they are predicted invariant, and their number.
        agreeing: the same of the parameters, where they are predicted invariant as well.
        mixed: the smallest and largest deviation of the parameters where they are predicted not to be, and their number.
        families: of those cells.
    """

    outputs: tuple[float, int]
    agreeing: tuple[float, int]
    mixed: tuple[float, float, int]
    families: tuple[str, ...]


def kernel_costs(rows: Sequence[Row]) -> dict[str, KernelCost]:
    """For each model, how far the parameters deviate where the outputs do not.

    Args:
        rows: of a spectrum.
    """
    dtype = table_dtype(rows)
    pairs: dict[str, dict[tuple[str, ...], dict[str, Row]]] = {}
    for row in rows:
        if at_table(row) and row.dtype == dtype and row.measure in ("outputs", "parameters") and row.measured is not None:
            pairs.setdefault(row.model, {}).setdefault(line_of(row), {})[row.measure] = row
    found = {}
    for model, cells in pairs.items():
        kept = [cell for cell in cells.values() if len(cell) == 2 and cell["outputs"].predicted == "invariant"]
        kept = [cell for cell in kept if cell["outputs"].verdict == "holds" and cell["parameters"].verdict in JUDGED]
        if not kept:
            continue
        agree = [cell["parameters"] for cell in kept if cell["parameters"].predicted == "invariant"]
        mixed = [cell["parameters"] for cell in kept if cell["parameters"].predicted == "not invariant"]
        values = [row.measured or 0.0 for row in mixed]
        found[model] = KernelCost(
            (max((cell["outputs"].measured or 0.0 for cell in kept), default=0.0), len(kept)),
            (max((row.measured or 0.0 for row in agree), default=0.0), len(agree)),
            (min(values, default=0.0), max(values, default=0.0), len(mixed)),
            tuple(dict.fromkeys(row.family for row in mixed)),
        )
    return found


def examined(rows: Iterable[Row], subject: str) -> list[Row]:
    """The rows in which something that a subject promises was measured and decided."""
    return [
        row
        for row in rows
        if row.approximation == subject and row.promised and row.predicted in KEPT and row.verdict in ("holds", "violated")
    ]
