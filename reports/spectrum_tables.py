"""The tables of a spectrum, for a terminal and as Markdown."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.spectrum_summary import (
    KEPT,
    MARKS,
    Break,
    Entry,
    at_table,
    breaks,
    damping_costs,
    kernel_costs,
    matrix,
    table_dtype,
    worst_break,
    worst_cut,
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
DTYPES = ("float64", "float32")
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
    below = [f"{legend}; - unsupported; blank: no map of the family for these models; -oo: exactly zero."]
    if not full:
        below.append(", ".join(f"{SHORT[name]} {name}" for name in families if name in SHORT and SHORT[name] != name) + ".")
    above = f"log10 of the worst relative deviation of the outputs over models and data, {table_dtype(rows)}, undamped."
    return Section(f"Invariance at kappa = {number(TABLE)}", head, table, [above], below)


def _shown(entry: Entry | None, full: bool) -> str:
    if entry is None:
        return ""
    if entry.deviation is None:
        return entry.mark
    exponent = entry.exponent
    text = "-oo" if exponent == -math.inf else f"{exponent:.1f}" if full else str(round(min(exponent, HUGE)))
    return f"{text} {entry.mark}" if full else f"{text}{entry.mark}"


def break_section(rows: Sequence[Row], full: bool) -> Section:
    """Where invariance that is predicted breaks: float64 and float32 side by side.

    Args:
        rows: of a spectrum.
        full: a line for each approximation and family; otherwise one for each approximation.
    """
    groups: dict[tuple[str, ...], list[Break]] = {}
    for one in breaks(rows):
        row = one.row
        groups.setdefault((row.approximation, row.family) if full else (row.approximation,), []).append(one)
    dtypes = [dtype for dtype in DTYPES if any(row.dtype == dtype for row in rows)]
    columns = ["holds to", "measured", "bound", "breaks", "why", "where"] if full else ["holds", "of bound", "breaks", "why"]
    head = ["approximation", *(["family"] if full else [])]
    single = [f"{name} f32" if full or name == "holds" else name for name in columns]
    head += [name for dtype in dtypes for name in (columns if dtype == "float64" else single)]
    order = list(dict.fromkeys(row.approximation for row in rows))
    table = []
    for key, group in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        line = list(key)
        for dtype in dtypes:
            line += _broken(worst_break(one for one in group if one.row.dtype == dtype), full)
        cut = worst_cut(one for one in group if one.row.dtype == "float64")
        table.append([*line, _cut(cut, full)])
    over = "models and data" if full else "families, models and data"
    above = (
        f"The last kappa that holds, worst over {over}, with measured and bound, and the first that does not: eigenvalues fall "
        "below the cut-off P eps (rank lost), the bound exceeds 0.1 (rounding), or invariance is violated. "
        "Last column: the kappa from which a cut-off of 1e-8, the paper's, breaks it before."
    )
    head.append("cut 1e-8")
    return Section("The condition number at which it breaks", head, table, [above])


def _broken(one: Break | None, full: bool) -> list[str]:
    if one is None:
        return [""] * (6 if full else 4)
    held, broken = one.held, one.broken
    kappa, measured, bound = (held.kappa, held.measured, held.bound) if held else (None, None, None)
    end = [number(broken.kappa if broken else None, 1), one.why]
    if full:
        return [number(kappa, 1), number(measured, 1), number(bound, 1), *end, f"{one.row.model}, {one.row.data}"]
    return [number(kappa, 1), f"{number(measured, 1)} of {number(bound, 1)}" if held else "-", *end]


def _cut(row: Row | None, full: bool) -> str:
    if row is None:
        return "-"
    return f"{number(row.kappa, 1)}: {number(row.cut, 2)} of {number(row.bound, 2)}" if full else number(row.kappa, 1)


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
        worst = max(chosen, key=_used, default=None)
        if worst is None:
            continue
        claimed = any(row.promised and row.predicted in KEPT for row in chosen)
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


def _used(row: Row) -> tuple[bool, float]:
    """For the worst of several rows: the share of the bound that is used."""
    return row.red, (row.measured or 0.0) / row.bound if row.bound else 0.0


def red_section(rows: Sequence[Row], full: bool, most: int = 12) -> Section:
    """What contradicts theory.

    Args:
        rows: of a spectrum.
        full: every row; otherwise those of the same kind on the same model as one, and not more than ``most`` of these.
    """
    red = sorted((row for row in rows if row.red), key=lambda row: VERDICTS.index(row.verdict))
    title = f"Red: {plural(len(red), 'row')}"
    if full:
        head = ["verdict", "approximation", "cell", "kappa", "measure", "predicted", "measured", "bound", "source and reason"]
        return Section(title, head, [[row.verdict, row.approximation, _cell(row), *_values(row), _why(row)] for row in red])
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in red:
        groups.setdefault((row.verdict, row.model, row.data, row.dtype, row.predicted, row.reason), []).append(row)
    lines = [_red_line(group) for group in groups.values()]
    left = [f"and {plural(len(lines) - most, 'more kind')} in spectrum.md"] if len(lines) > most else []
    return Section(title, below=[*lines[:most], *left])


def _red_line(group: Sequence[Row]) -> str:
    """Red rows of one kind in a sentence, the worst with its numbers."""
    row = max(group, key=_used)
    others = [one.approximation for one in group if one.approximation != row.approximation]
    elsewhere = [one.family for one in group if one.family != row.family]
    also = [f"also {some(others, 3)}"] if others else []
    also += [f"also under {some(elsewhere, 3)}"] if elsewhere else []
    kappa, measure, predicted, measured, bound = _values(row)
    text = f"{row.verdict}: {row.approximation} in {_cell(row)}, kappa {kappa}, {measure}: predicted {predicted}, "
    return "; ".join([f"{text}measured {measured}, bound {bound}", *filter(None, [_why(row)]), *also])


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
    return [section for section in (*made, red_section(rows, full)) if section.rows or section.below]
