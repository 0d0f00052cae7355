"""Where invariance ends along the condition number, and what ends it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fishergauge.reports.spectrum_coincidences import coincides
from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.spectrum_summary import line_of
from fishergauge.suites.spectrum.execution import TABLE, breaking
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.wording import number

DTYPES = ("float64", "float32")


class Break(NamedTuple):
    """Where the invariance of an approximation under a family ends, on one problem in one precision.

    Args:
        held: the last row that holds; None if none does.
        broken: the first that does not; None where nothing breaks up to the largest condition number.
        cut: the first row that the cut-off 1e-8 breaks, before anything else does.
    """

    held: Row | None
    broken: Row | None
    cut: Row | None = None

    @property
    def row(self) -> Row:
        """Either of them, for what they share."""
        found = self.held or self.broken
        assert found is not None
        return found

    @property
    def reach(self) -> tuple[float, bool, float]:
        """For comparison: how far it holds, and with how much of the bound to spare."""
        spare = (self.held.bound or 0.0) / self.held.measured if self.held and self.held.measured else math.inf
        return self.held.kappa if self.held else 0.0, self.broken is None, spare

    @property
    def why(self) -> str:
        """What ends it, in a word or two."""
        row = self.broken
        if row is None:
            return ""
        if row.verdict != "not-claimed":
            return row.verdict
        return "rank lost" if row.bound is None and row.rank is not None else "rounding"

    @property
    def shown(self) -> str:
        """The condition number to which it holds; with a plus where it holds to the end."""
        if self.held is None:
            return f"<{number(self.row.kappa, 1)}"
        return number(self.held.kappa, 1) + ("+" if self.broken is None else "")


def breaks(rows: Sequence[Row]) -> list[Break]:
    """Where invariance breaks, for each approximation, family, model, data set and precision for which it is predicted.

    Predictions by coincidence are left out: they are made where measurement shows them, and end with it.

    Args:
        rows: of a spectrum.
    """
    rows = [row for row in rows if not coincides(row)]
    cuts: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        counts = row.measure == "outputs" and row.predicted == "invariant"
        if counts and row.cut is not None and row.bound is not None and row.cut > row.bound:
            cuts.setdefault(line_of(row), []).append(row)
    found = []
    for held, broken in breaking(rows):
        one = Break(held, broken)
        if held is None and broken is not None and broken.verdict == "unsupported":
            continue  # it has no meaning there
        first = min(cuts.get(line_of(one.row), []), key=lambda row: row.kappa, default=None)
        earlier = first is not None and (broken is None or first.kappa < broken.kappa)
        found.append(one._replace(cut=first) if earlier else one)
    return found


def worst_break(found: Iterable[Break]) -> Break | None:
    """The one that holds least far."""
    return min(found, key=lambda one: one.reach, default=None)


def worst_cut(found: Iterable[Break]) -> Row | None:
    """The row at the smallest condition number at which the cut-off 1e-8 breaks something first."""
    return min((one.cut for one in found if one.cut is not None), key=lambda row: row.kappa, default=None)


def break_section(rows: Sequence[Row], full: bool) -> Section:
    """Where invariance that is predicted breaks: float64 and float32 side by side.

    Args:
        rows: of a spectrum.
        full: a line for each approximation and family, with the worst of them; otherwise one for each approximation, with all.
    """
    groups: dict[tuple[str, ...], list[Break]] = {}
    for one in breaks(rows):
        row = one.row
        groups.setdefault((row.approximation, row.family) if full else (row.approximation,), []).append(one)
    dtypes = [dtype for dtype in DTYPES if any(row.dtype == dtype for row in rows)]
    columns = ["holds to", "measured", "bound", "breaks", "why", "where"] if full else ["holds to", "median", "at 100", "why"]
    head = ["approximation", *(["family"] if full else [])]
    head += [name if dtype == "float64" else f"{name} f32" for dtype in dtypes for name in columns]
    cutting = "float64" in dtypes  # P eps of float32 is larger than 1e-8
    order = list(dict.fromkeys(row.approximation for row in rows))
    table = []
    for key, group in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        line = list(key)
        for dtype in dtypes:
            chosen = [one for one in group if one.row.dtype == dtype]
            line += _worst(worst_break(chosen)) if full else _spread(chosen)
        table.append([*line, *([_cut(worst_cut(group), full)] if cutting else [])])
    above = _WORST if full else _SPREAD
    above += (
        "; the smallest kappa at which a cut-off of 1e-8, the paper's, breaks what P eps keeps (cut 1e-8)." if cutting else "."
    )
    return Section("The condition number at which it breaks", [*head, *(["cut 1e-8"] if cutting else [])], table, [above])


_ENDS = "eigenvalues fall below the cut-off P eps (rank lost), the bound exceeds 0.1 (rounding), or invariance is violated"
_WORST = f"The last kappa that holds, worst over models and data, with measured and bound, and the first that does not: {_ENDS}"
_SPREAD = (
    "Over families, models and data: the last kappa that holds, smallest to largest (+: the largest tried), and the median; "
    f"how many hold at kappa = {number(TABLE)}; what ends most: eigenvalues fall below P eps (rank lost), the bound exceeds "
    "0.1 (rounding), or invariance is violated"
)


def _worst(one: Break | None) -> list[str]:
    """The columns of a precision in a document."""
    if one is None:
        return [""] * 6
    held, broken = one.held, one.broken
    kappa, measured, bound = (held.kappa, held.measured, held.bound) if held else (None, None, None)
    end = [number(broken.kappa if broken else None, 1), one.why]
    return [number(kappa, 1), number(measured, 1), number(bound, 1), *end, f"{one.row.model}, {one.row.data}"]


def _spread(found: Sequence[Break]) -> list[str]:
    """The columns of a precision on a terminal: from the line that holds least far to that which holds farthest."""
    if not found:
        return [""] * 4
    ordered = sorted(found, key=lambda one: one.reach)
    ends = list(dict.fromkeys([ordered[0].shown, ordered[-1].shown]))
    middle = ordered[(len(ordered) - 1) // 2].shown
    holding = sum(one.held is not None and one.held.kappa >= TABLE for one in found)
    return [" to ".join(ends), middle, f"{holding}/{len(found)}", _main_reason(found)]


def _main_reason(found: Iterable[Break]) -> str:
    """What ends most lines; a contradiction, if there is any."""
    red = [one.why for one in found if one.broken is not None and one.broken.red]
    counts = Counter(red or [one.why for one in found if one.why])
    return counts.most_common(1)[0][0] if counts else "-"


def _cut(row: Row | None, full: bool) -> str:
    if row is None:
        return "-"
    return f"{number(row.kappa, 1)}: {number(row.cut, 2)} of {number(row.bound, 2)}" if full else number(row.kappa, 1)
