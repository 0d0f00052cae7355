"""The figure of the spectrum: approximations times families, and deviation against the condition number."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from fishergauge.reference import FAMILIES
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import write_figure
from fishergauge.reports.panels import CHALK, INK
from fishergauge.reports.spectrum_lines import draw_lines
from fishergauge.reports.spectrum_summary import Entry, matrix, table_dtype
from fishergauge.suites.spectrum.execution import TABLE
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.wording import number

WIDTH, HEIGHT = 7.2, 4.5  # inches: the width of a page
LOWEST: Mapping[str, int] = {"float64": -16, "float32": -8}  # of the colours; rounding is smaller
HIGHEST = 0
COLOURS = "cividis"
RED = "#D50000"
PREFERRED = "mlp"
MATRIX = (0.238, 0.325, 0.33, 0.58)  # left, bottom, width, height in parts of the figure
LINES = (0.672, 0.245, 0.322, 0.705)
DOTS = "=~"
HATCHED: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "#888888", "hatch": "//////", "linewidth": 0}
UNDECIDED: Mapping[str, Any] = {"facecolor": "#e4e4e4", "edgecolor": "none", "linewidth": 0}
CONTRADICTED: Mapping[str, Any] = {"facecolor": RED, "edgecolor": "none", "linewidth": 0}
SIGN: Mapping[str, Any] = {"linestyle": "none", "marker": "$?$", "color": "#666666", "markersize": 3.6, "markeredgewidth": 0.2}
STAR: Mapping[str, Any] = {"linestyle": "none", "marker": (6, 2, 0), "markersize": 3, "markeredgewidth": 0.5}
CROSS: Mapping[str, Any] = {"linestyle": "none", "marker": "x", "color": CHALK, "markersize": 4, "markeredgewidth": 1.1}
FAMILY_KINDS = ("layer-wise linear", "general linear", "nonlinear")
STYLE = {"font.size": 7, "axes.titlesize": 7.5, "axes.linewidth": 0.6, "pdf.fonttype": 42, "hatch.linewidth": 0.5}
KINDS: Mapping[str, Sequence[str]] = {  # between thin separators; what is in none is a subject
    "whole": ("exact-fisher", "ggn", "hessian", "empirical-fisher", "monte-carlo-fisher"),
    "blocks": ("fisher-layer-blocks", "fisher-parameter-blocks", "quasi-diagonal", "fisher-diagonal"),
    "kronecker": ("kfac-joint", "kfac-reduce", "kfac-separate", "ekfac-joint", "ekfac-separate"),
    "adaptive": ("shampoo", "shampoo-half", "shampoo-quarter", "adam", "gradient"),
    "subjects": (),
}


def draw_spectrum(rows: Sequence[Row], families: Sequence[str], labels: Mapping[str, str], paths: Sequence[Path]) -> list[Path]:
    """Draw the matrix of deviations, and deviations against the condition number.

    Args:
        rows: of a spectrum; at least one is measured.
        families: the columns.
        labels: of the approximations, by name.
        paths: files to write, whole or not at all; their suffix says the format.

    Returns:
        The paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return write_figure(lambda: made_figure(rows, families, labels), STYLE, paths, dpi=300)


def made_figure(rows: Sequence[Row], families: Sequence[str], labels: Mapping[str, str]) -> Any:
    """The figure of :func:`draw_spectrum`, in the style that is set."""
    figure = require("matplotlib.figure").Figure(figsize=(WIDTH, HEIGHT))
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    _draw_matrix(figure, rows, families, labels)
    draw_lines(figure, rows, LINES)
    return figure


def shown_model(rows: Sequence[Row]) -> str | None:
    """The model of the matrix: the perceptron if it is there, otherwise the worst of all."""
    models = {row.model for row in rows}
    return PREFERRED if PREFERRED in models else models.pop() if len(models) == 1 else None


def _draw_matrix(figure: Any, rows: Sequence[Row], families: Sequence[str], labels: Mapping[str, str]) -> None:
    model = shown_model(rows)
    entries = matrix(rows, model)
    names = sorted(dict.fromkeys(row.approximation for row in rows), key=lambda name: list(KINDS).index(_kind(name)))
    chosen = sorted(
        (f for f in families if any((name, f) in entries for name in names)), key=lambda f: FAMILY_KINDS.index(_kind_of(f))
    )
    axes = figure.add_axes(MATRIX)
    lowest = LOWEST[table_dtype(rows)]
    values = [[_colour(entries.get((name, family)), lowest) for family in chosen] for name in names]
    image = axes.imshow(values, cmap=COLOURS, vmin=lowest, vmax=HIGHEST, aspect="auto", interpolation="nearest")
    for i, name in enumerate(names):
        for j, family in enumerate(chosen):
            if (name, family) in entries:
                _mark(axes, j, i, entries[name, family], lowest)
    axes.set_xticks(range(len(chosen)), chosen, rotation=90)
    axes.set_yticks(range(len(names)), [labels.get(name, name) for name in names], fontsize=6.5)
    axes.tick_params(length=0, pad=2)
    _separate(axes, [_kind(name) for name in names], [_kind_of(family) for family in chosen])
    which = model if model is not None else "worst of the models"
    axes.set_title(f"(a) {which}, {table_dtype(rows)}, $\\kappa$ = {number(TABLE)}", loc="left", pad=20)
    _bar(figure, image, lowest)
    _legend(figure, [entries[key] for key in entries if key[1] in chosen])


def _colour(entry: Entry | None, lowest: float) -> float:
    """The exponent within the range of the colours; not a number where nothing was measured."""
    return math.nan if entry is None else max(entry.exponent, lowest)


def _mark(axes: Any, x: int, y: int, entry: Entry, lowest: float) -> None:
    """A dot where invariance is predicted, a ring where it is to first order, an asterisk where nothing is promised.

    What is not decidable is grey with a question mark, what is unsupported hatched, what is contradicted red with a white
    cross.
    """
    patch = require("matplotlib.patches").Rectangle
    ground = {"-": HATCHED, "?": UNDECIDED}.get(entry.expected)
    if ground is not None:
        axes.add_patch(patch((x - 0.5, y - 0.5), 1, 1, **ground))
    colour = CHALK if entry.exponent < (lowest + HIGHEST) / 2 else INK
    if entry.expected in DOTS:
        face = colour if entry.expected == "=" else "none"
        axes.plot([x], [y], "o", markersize=2.8, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=0.7, zorder=4)
    elif entry.expected == "*":
        axes.plot([x], [y], **STAR, color=colour, zorder=4)
    elif entry.expected == "?" and not entry.red:
        axes.plot([x], [y], **SIGN, zorder=4)
    if entry.red:
        axes.add_patch(patch((x - 0.5, y - 0.5), 1, 1, **CONTRADICTED, zorder=5))
        axes.plot([x], [y], **CROSS, zorder=6)


def _kind(name: str) -> str:
    return next((kind for kind, names in KINDS.items() if name in names), "subjects")


def _kind_of(family: str) -> str:
    found = FAMILIES[family]
    return FAMILY_KINDS[2 if not found.linear else 0 if found.layerwise else 1]


def _separate(axes: Any, kinds: Sequence[str], columns: Sequence[str]) -> None:
    """White lines between the cells, black ones between kinds, and the kinds of families above."""
    for place in range(1, len(columns)):
        axes.axvline(place - 0.5, color="white", linewidth=0.4)
    for place in range(1, len(kinds)):
        axes.axhline(place - 0.5, color="white", linewidth=0.4)
    for place, (one, other) in enumerate(pairwise(columns), start=1):
        if one != other:
            axes.axvline(place - 0.5, color="black", linewidth=0.9)
    for place, (one, other) in enumerate(pairwise(kinds), start=1):
        if one != other:
            axes.axhline(place - 0.5, color="black", linewidth=0.9)
    for kind in dict.fromkeys(columns):
        places = [i for i, one in enumerate(columns) if one == kind]
        text = kind if len(places) > 5 else kind.replace(" ", "\n", 1)
        axes.annotate(
            text,
            (sum(places) / len(places), -0.5),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6,
        )


def _bar(figure: Any, image: Any, lowest: int) -> None:
    """The colours below the names of the families."""
    left, _, width, _ = MATRIX
    axes = figure.add_axes((left, 0.105, width, 0.016))
    bar = figure.colorbar(image, cax=axes, orientation="horizontal", ticks=range(lowest, HIGHEST + 1, -lowest // 4))
    bar.ax.tick_params(length=2, pad=1.5)
    bar.outline.set_linewidth(0.4)
    figure.text(left - 0.012, 0.113, "$\\log_{10}$ of the deviation", ha="right", va="center")


def _legend(figure: Any, entries: Sequence[Entry]) -> None:
    line, patch = require("matplotlib.lines").Line2D, require("matplotlib.patches").Patch
    shown = {entry.expected for entry in entries}
    dot = {"linestyle": "none", "marker": "o", "color": "black", "markersize": 3, "markeredgewidth": 0.7}
    blank = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.4}
    handles: dict[str, Any] = {
        "predicted invariant": line([], [], **dot),
        "to first order": line([], [], **dot, markerfacecolor="none"),
    }
    if "*" in shown:
        handles["nothing promised"] = line([], [], **STAR, color="black")
    handles["unsupported"] = patch(**HATCHED)
    if "?" in shown:
        handles["not decidable"] = (patch(**UNDECIDED), line([], [], **SIGN))
    handles["no map"] = patch(**blank)
    if any(entry.red for entry in entries):
        handles["contradicted"] = (patch(**CONTRADICTED), line([], [], **CROSS))
    options: dict[str, Any] = {
        "frameon": False,
        "handlelength": 1.1,
        "handleheight": 0.9,
        "columnspacing": 1.2,
        "handletextpad": 0.4,
    }
    place = ((MATRIX[0] + MATRIX[2]) / 2 + 0.01, 0.0)
    options |= {
        "loc": "lower center",
        "bbox_to_anchor": place,
        "ncols": (len(handles) + 1) // 2,
        "borderaxespad": 0.2,
        "borderpad": 0.1,
        "labelspacing": 0.25,
    }
    figure.legend(list(handles.values()), list(handles), **options)
