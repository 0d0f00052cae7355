"""The figure of ``fishergauge peers``: the quantities of libraries times claims, and times problems."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import write_figure
from fishergauge.reports.panels import INK
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.judgement import Cell
from fishergauge.suites.zoo import CATALOGUE

STYLE = {"font.size": 5.5, "axes.titlesize": 7, "axes.linewidth": 0.4, "pdf.fonttype": 42}
HOLDS, EXPECTED, WRONG, REFUSED = "#2a6f97", "#f2a541", "#c1121f", "#d9d9d9"
ROW, COLUMN = 0.092, 0.092  # inches
SHORTEST = 5  # columns, for the title
LETTER, TOP, BOTTOM, GAP = 0.043, 1.2, 0.35, 0.25
ORDER = ("unexplained", "new", "changed", "vanished", "mended", "expected", "holds", "unsupported")
COLOURS: Mapping[str, str] = {
    **dict.fromkeys(ORDER[:5], WRONG),
    "expected": EXPECTED,
    "holds": HOLDS,
    "unsupported": REFUSED,
}
MARKS: Mapping[str, str] = {**dict.fromkeys(ORDER[:5], "!"), "expected": "x", "unsupported": "_"}


def draw_peers(cells: Sequence[Cell], paths: Sequence[Path]) -> list[Path]:
    """Draw two matrices: for each quantity its worst status by claim, and by problem.

    Args:
        cells: of a run.
        paths: files to write; their suffix says the format.

    Returns:
        The paths; none if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return write_figure(lambda: made_figure(cells), STYLE, paths, dpi=200)


def made_figure(cells: Sequence[Cell]) -> Any:
    """The figure of :func:`draw_peers`, in the style that is set; None if there is nothing to draw."""
    claims = worst(cells, lambda cell: cell.record.claim)
    problems = worst(cells, lambda cell: cell.record.problem)
    return _figure(claims, problems) if claims else None


def worst(cells: Sequence[Cell], column: Callable[[Cell], str]) -> dict[str, dict[str, str]]:
    """The worst status of each quantity in each column; a column in which all was refused is ``unsupported``."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for cell in cells:
        if cell.status == "not-claimed":
            continue
        row, name = found[cell.record.subject], column(cell)
        row[name] = min(row.get(name, "unsupported"), cell.status, key=ORDER.index)
    return found


def _figure(claims: Mapping[str, Mapping[str, str]], problems: Mapping[str, Mapping[str, str]]) -> Any:
    subjects = list(claims)
    panels = [(_columns(claims, CLAIMS), claims, "claims"), (_columns(problems, CATALOGUE), problems, "problems")]
    margin = 0.15 + LETTER * max(map(len, subjects))
    wide = margin + sum(_room(columns) for columns, _, _ in panels)
    high = TOP + len(subjects) * ROW + BOTTOM
    figure = require("matplotlib.figure").Figure(figsize=(wide, high))
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    left = margin
    for columns, rows, title in panels:
        width = len(columns) * COLUMN
        axes = figure.add_axes((left / wide, BOTTOM / high, width / wide, len(subjects) * ROW / high))
        _draw(axes, subjects, columns, rows)
        axes.text(0, 1 + (TOP - 0.12) / (len(subjects) * ROW), title, transform=axes.transAxes, fontsize=7, va="center")
        if rows is claims:
            axes.set_yticks(range(len(subjects)), subjects)
        left += _room(columns)
    _legend(figure, high)
    return figure


def _room(columns: Sequence[str]) -> float:
    """Inches for a panel, its title and the gap behind it."""
    return max(len(columns), SHORTEST) * COLUMN + GAP


def _columns(rows: Mapping[str, Mapping[str, str]], known: Mapping[str, Any]) -> list[str]:
    return [name for name in known if any(name in row for row in rows.values())]


def _draw(axes: Any, subjects: Sequence[str], columns: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> None:
    points: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for y, subject in enumerate(subjects):
        for x, column in enumerate(columns):
            if column in rows[subject]:
                points[rows[subject][column]].append((x, y))
    rectangle = require("matplotlib.patches").Rectangle
    for status, places in points.items():
        for x, y in places:
            axes.add_patch(rectangle((x - 0.46, y - 0.46), 0.92, 0.92, facecolor=COLOURS[status], linewidth=0))
        if mark := MARKS.get(status):
            marker = f"${mark}$" if mark == "!" else mark
            colour = "black" if status == "unsupported" else INK  # a grey field is thinned ink on the page
            axes.plot(
                *zip(*places, strict=True), linestyle="none", marker=marker, color=colour, markersize=2.4, markeredgewidth=0.5
            )
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(subjects) - 0.4, -0.6)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    first = 0
    for _, group in groupby(subjects, lambda name: name.partition("/")[0]):
        first += len(list(group))
        if first < len(subjects):
            axes.axhline(first - 0.5, color="black", linewidth=0.5)


def _legend(figure: Any, high: float) -> None:
    patch, line = require("matplotlib.patches").Patch, require("matplotlib.lines").Line2D
    said = (
        (HOLDS, "", "holds wherever it was executed"),
        (EXPECTED, "x", "red somewhere, as the ledger says"),
        (WRONG, "$!$", "not as the ledger says"),
        (REFUSED, "_", "refused by the library"),
    )
    handles = [patch(facecolor=colour, label=text) for colour, _, text in said]
    marks = [
        line(
            [],
            [],
            linestyle="none",
            marker=mark or "None",
            color="black" if mark == "_" else INK,
            markersize=3,
            markeredgewidth=0.5,
        )
        for _, mark, _ in said
    ]
    legend = figure.legend(
        [(patch, mark) for patch, mark in zip(handles, marks, strict=True)],
        [text for _, _, text in said],
        loc="lower left",
        ncols=4,
        frameon=False,
        bbox_to_anchor=(0.01, 0.02 / high),
        handler_map={tuple: require("matplotlib.legend_handler").HandlerTuple(ndivide=1)},
    )
    legend.set_in_layout(False)
