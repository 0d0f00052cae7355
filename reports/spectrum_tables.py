"""The tables of a spectrum, for a terminal and as Markdown."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from fishergauge.reports.spectrum_breaks import break_section
from fishergauge.reports.spectrum_coincidences import coincidence_line, coincidence_section
from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.spectrum_summary import (
    JUDGED,
    KEPT,
    MARKS,
    Entry,
    at_table,
    damping_costs,
    kernel_costs,
    matrix,
    table_dtype,
)
from fishergauge.suites.record import VERDICTS
from fishergauge.suites.spectrum.execution import TABLE
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.wording import number, plural, some

SHORT: Mapping[str, str] = {
    "permutation": "perm",
    "scalar": "scal",
    "orthogonal": "orth",
    "scaling": "feat",
    "diagonal": "diag",
    "unit-scaling": "unit",
    "unit-affine": "u-af",
    "inputs-linear": "i-li",
    "inputs-affine": "i-af",
    "hidden-affine": "h-af",
    "pre-activations": "prea",
    "kronecker": "kron",
    "affine": "aff",
    "joint-kronecker": "j-kr",
    "dense-layers": "d-la",
    "dense": "dens",
    "sinh": "sinh",
    "exp": "exp",
    "spherical": "sphe",
}
HUGE = 99  # an exponent from here on is shown as this


def matrix_section(rows: Sequence[Row], families: Sequence[str], full: bool) -> Section:
    """Approximations times families: the exponent of the deviation, and whether it agrees with the prediction.

    Args:
        rows: of a spectrum.
        families: the columns.
        full: names and a decimal, for a document.
    """
    entries = matrix(rows)
    names = list(dict.fromkeys(row.approximation for row in rows))
    table = [[name, *(_shown(entries.get((name, family)), full) for family in families)] for name in names]
    head = ["approximation", *(family if full else SHORT.get(family, family[:4]) for family in families)]
    legend = "; ".join(f"{mark} {text}" for mark, text in MARKS.items())
    counted = "; 2?: two more that are not decidable" if full else ""
    below = [f"{legend}; - unsupported{counted}; blank: no map of the family for these models; -oo: exactly zero."]
    if not full:
        below.append(", ".join(f"{SHORT[name]} {name}" for name in families if name in SHORT and SHORT[name] != name) + ".")
        below += filter(None, [coincidence_line(rows)])
    dtype = table_dtype(rows)
    above = f"log10 of the worst relative deviation of the outputs over models and data, as far as decided, {dtype}, undamped."
    return Section(f"Invariance at kappa = {number(TABLE)}", head, table, [above], below)


def _shown(entry: Entry | None, full: bool) -> str:
    if entry is None:
        return ""
    if entry.deviation is None:
        return entry.mark
    exponent = entry.exponent
    left = f", {entry.undecided}?" if entry.undecided else ""
    text = "-oo" if exponent == -math.inf else f"{exponent:.1f}" if full else str(round(min(exponent, HUGE)))
    return f"{text} {entry.mark}{left}" if full else f"{text}{entry.mark}"


def damping_section(rows: Sequence[Row], full: bool) -> Section:
    """What damping costs.

    Args:
        rows: of a spectrum.
        full: a line for each approximation; otherwise two stand side by side.
    """
    head = ["approximation", "undamped", "lambda T'T", "lambda I"]
    table = []
    for name, cost in damping_costs(rows).items():
        pairs = (cost.undamped, cost.metric, cost.damped)
        if full:
            table.append([name, str(cost.cells), *(number(value, 2) for pair in pairs for value in pair)])
        else:
            table.append([name, *(f"{number(pair[0], 1)} {number(pair[1], 1):>5}" for pair in pairs)])
    if full:
        head = ["approximation", "cells", *(f"{name}, {kind}" for name in head[1:] for kind in ("median", "worst"))]
    else:
        half = (len(table) + 1) // 2
        blank = [""] * len(head)
        second = [*table[half:], *([blank] if len(table) % 2 else [])]
        table = [[*one, "  " + other[0], *other[1:]] for one, other in zip(table[:half], second, strict=True)]
        head = [*head, "  " + head[0], *head[1:]]
    above = (
        f"Median and worst deviation of the outputs at kappa = {number(TABLE)} in the linear cells where the undamped step is "
        "invariant: damped by lambda I in both coordinates, and by lambda T'T, which is lambda I in the old ones."
    )
    return Section("What damping costs", head, table, [above])


def kernel_section(rows: Sequence[Row]) -> Section:
    """Where the pseudo-inverse step is invariant as a function, and not as a vector of parameters.

    Args:
        rows: of a spectrum.
    """
    table = []
    for model, cost in kernel_costs(rows).items():
        worst, count = cost.outputs
        smallest, largest, mixed = cost.mixed
        between = f"{number(smallest, 1)} to {number(largest, 1)}" if mixed else "-"
        agreeing = number(cost.agreeing[0], 1) if cost.agreeing[1] else "-"
        table.append(
            [model, str(count), number(worst, 1), str(cost.agreeing[1]), agreeing, str(mixed), between, some(cost.families, 2)]
        )
    head = ["model", "outputs", "worst", "parameters", "worst", "not", "deviation", "families where not"]
    above = (
        "Cells whose outputs are invariant on the range, and in how many of them the parameters are: they are not where the "
        "map mixes the kernel of a singular matrix with its complement."
    )
    return Section("The pseudo-inverse: outputs against parameters", head, table, [above])


def subject_section(rows: Sequence[Row], subject: str) -> Section:
    """The groups that a subject promises, with measured, bound and verdict, and the others for information.

    Args:
        rows: of a spectrum.
        subject: its name.
    """
    table = []
    for family in dict.fromkeys(row.family for row in rows):
        chosen = [row for row in rows if row.approximation == subject and row.family == family and at_table(row)]
        chosen = [row for row in chosen if row.measure == "outputs"]
        if not chosen:
            continue
        claims = [row for row in chosen if row.promised and row.predicted in KEPT]
        worst, claimed = max(claims or chosen, key=_used), bool(claims)
        measured = any(row.measured is not None for row in chosen)
        counts = Counter(row.verdict for row in chosen)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        promise = "promised" if claimed else "not promised" if measured else ""
        bound = number(worst.bound, 2) if claimed else ""
        table.append(
            [family, promise, number(worst.measured, 2), bound, verdicts, f"{worst.model}, {worst.data}, {worst.dtype}"]
        )
    table.sort(key=lambda line: ("promised", "not promised", "").index(line[1]))
    head = ["family", "promise", "measured", "bound", "cells", "worst in"]
    above = f"Deviation of the outputs at kappa = {number(TABLE)}; what is not promised is measured for information."
    return Section(f"Subject {subject}", head, table, [above])


def _used(row: Row) -> tuple[bool, bool, float, float]:
    """For the worst of several rows: contradicted, decided, and the share of the bound that is used."""
    measured = row.measured or 0.0
    return row.red, row.verdict in JUDGED, measured / row.bound if row.bound else 0.0, measured


def red_section(rows: Sequence[Row], full: bool, subjects: Sequence[str] = (), most: int = 12) -> Section:
    """What contradicts theory.

    Args:
        rows: of a spectrum.
        subjects: names of those under test, which come first.
        full: every row; otherwise those of the same kind on the same model as one, and not more than ``most`` of these.
    """
    red = [row for row in rows if row.red]
    red.sort(key=lambda row: (row.approximation not in subjects, VERDICTS.index(row.verdict)))
    title = f"Red: {plural(len(red), 'row')}"
    if full:
        head = ["verdict", "approximation", "cell", "kappa", "measure", "predicted", "measured", "bound", "source and reason"]
        return Section(title, head, [[row.verdict, row.approximation, _cell(row), *_values(row), _why(row)] for row in red])
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in red:
        groups.setdefault((row.verdict, row.model, row.data, row.dtype, row.predicted, row.reason), []).append(row)
    lines = [_red_line(group, subjects) for group in groups.values()]
    left = [f"and {plural(len(lines) - most, 'more kind')} in spectrum.md"] if len(lines) > most else []
    return Section(title, below=[*lines[:most], *left])


def _red_line(group: Sequence[Row], subjects: Sequence[str]) -> str:
    """Red rows of one kind in a sentence: the worst of the outputs if there is one, of a subject under test before others."""
    row = max(group, key=lambda one: (one.approximation in subjects, one.measure == "outputs", *_used(one)))
    measures = [one.measure for one in group if one.measure != row.measure]
    others = [one.approximation for one in group if one.approximation != row.approximation]
    elsewhere = [one.family for one in group if one.family != row.family]
    also = [f"also {some(measures, 3)}"] if measures else []
    also += [f"also {some(others, 3)}"] if others else []
    also += [f"also under {some(elsewhere, 3)}"] if elsewhere else []
    kappa, measure, predicted, measured, bound = _values(row)
    text = f"{row.verdict}: {row.approximation} in {_cell(row)}, kappa {kappa}, {measure}: predicted {predicted}"
    found = f", measured {measured}, bound {bound}" if row.measured is not None else ""
    return "; ".join([f"{text}{found}", *filter(None, [_why(row)]), *also])


def _cell(row: Row) -> str:
    return ", ".join((row.model, row.data, row.dtype, row.family))


def _values(row: Row) -> list[str]:
    return [number(row.kappa, 1), row.measure, row.predicted, number(row.measured, 2), number(row.bound, 2)]


def _why(row: Row) -> str:
    return "; ".join(text for text in (row.source, row.reason) if text)


def summary_line(rows: Sequence[Row], seconds: float | None = None) -> str:
    """The number of rows by verdict, and the seconds.

    Args:
        rows: of a spectrum.
        seconds: that it took; left out of files.
    """
    counts = Counter(row.verdict for row in rows)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    cells = len({(row.approximation, row.model, row.data, row.dtype, row.family) for row in rows})
    text = f"{plural(cells, 'cell')}, {plural(len(rows), 'measurement')}" + (f": {verdicts}" if verdicts else "")
    return text if seconds is None else f"{text}; {seconds:.1f} s"


def sections(rows: Sequence[Row], families: Sequence[str], subjects: Sequence[str] = (), full: bool = False) -> list[Section]:
    """All sections that have something to say.

    Args:
        rows: of a spectrum.
        families: the columns of the matrix.
        subjects: names of those under test.
        full: for a document.
    """
    made = [matrix_section(rows, families, full), break_section(rows, full), damping_section(rows, full), kernel_section(rows)]
    made += [subject_section(rows, name) for name in subjects]
    made += [coincidence_section(rows)] if full else []
    return [section for section in (*made, red_section(rows, full, subjects)) if section.rows or section.below]
