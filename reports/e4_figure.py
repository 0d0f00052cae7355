"""The figure of E3 and E4: deviation against the condition number, by both protocols."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.e4_tables import Row
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure

STYLE = {  # Okabe and Ito's colours, told apart by the colour-blind; markers tell them apart in print
    "exact": ("exact Fisher", "#0072B2", "o"),
    "kfac": ("K-FAC", "#E69F00", "s"),
    "empirical": ("empirical Fisher", "#009E73", "^"),
    "diagonal": ("diagonal", "#CC79A7", "v"),
    "sgd": ("SGD", "#000000", "D"),
}
PLACEHOLDER_STYLE = {"identity": ("identity for F", "+"), "diagonal": ("diag F for F", "x"), "random": ("random for F", "*")}
FLOOR = 1e-17
WIDTH, HEIGHT = 7.2, 3.0  # inches: the width of a page


def draw_invariance(published: list[Row], corrected: list[Row], methods: Sequence[str], paths: Sequence[Path]) -> None:
    """Draw the protocol as published, and as it should be in scaled and in rotated coordinates.

    Lines are means over seeds (geometric), bands the range; dashed lines are rounding bounds in the colour of their
    method, the threshold of the notebook is grey. Cells beyond float64 are left out, zeros are drawn at the lower edge.

    Args:
        published: rows of the notebook's protocol.
        corrected: rows of the recomputation.
        methods: out of :data:`STYLE`.
        paths: files to write; their suffix says the format.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib")
    figure_class, canvas = require("matplotlib.figure").Figure, require("matplotlib.backends.backend_agg").FigureCanvasAgg
    with matplotlib.rc_context({"font.size": 7.5, "axes.linewidth": 0.6, "pdf.fonttype": 42, "axes.titlesize": 8}):
        figure = figure_class(figsize=(WIDTH, HEIGHT), layout="constrained")
        canvas(figure)
        left, middle, right = figure.subplots(1, 3)
        _draw_published(left, published, methods)
        for axes, family in ((middle, "scaling"), (right, "rotated")):
            rows = [row for row in corrected if row["family"] == family and row["status"] != "beyond float64"]
            _draw_corrected(axes, rows, methods)
            axes.set_title(f"recomputed, {'scaled' if family == 'scaling' else 'rotated'} features")
        lowest = min(middle.get_ylim()[0], right.get_ylim()[0])
        highest = max(middle.get_ylim()[1], right.get_ylim()[1])
        for axes in (middle, right):
            axes.set_ylim(lowest, highest)
        middle.set_ylabel(r"relative deviation of the step")
        right.tick_params(labelleft=False)
        _legend(figure, methods, require("matplotlib.lines").Line2D)
        save_figure(figure, paths, dpi=300)


def _draw_published(axes: Any, rows: list[Row], methods: Sequence[str]) -> None:
    for method in methods:
        own = [row for row in rows if row["method"] == method and row["method"] not in PLACEHOLDER_STYLE]
        _line(axes, own, "max_diff", *STYLE[method][1:], floor=1e-21)
    for name, (_, marker) in PLACEHOLDER_STYLE.items():
        own = [row for row in rows if row["method"] == name]
        if own:
            kappa, height = max(row["kappa"] for row in own), max(*(row["max_diff"] for row in own), 1e-21)
            axes.plot([kappa], [height], marker=marker, color="#666666", markersize=5.5, linestyle="none", zorder=5)
    axes.axhline(1e-5, color="#777777", linewidth=0.8, linestyle=":")
    axes.annotate("threshold", (10, 1e-5), xytext=(0, 2), textcoords="offset points", color="#555555")
    axes.set_title("as published")
    axes.set_ylabel(r"max $|\Delta\theta(\kappa) - \Delta\theta(1)|$")
    axes.set_ylim(1e-21 if any(row["method"] in PLACEHOLDER_STYLE for row in rows) else 1e-18, 1e1)
    _finish(axes)


def _draw_corrected(axes: Any, rows: list[Row], methods: Sequence[str]) -> None:
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        _line(axes, own, "relative", *STYLE[method][1:], floor=FLOOR)
        if own and method != "sgd":
            kappas = sorted({row["kappa"] for row in own})
            bounds = [max(row["bound"] for row in own if row["kappa"] == kappa) for kappa in kappas]
            axes.plot(kappas, bounds, color=STYLE[method][1], linewidth=0.8, linestyle="--")
    _finish(axes)


def _line(axes: Any, rows: list[Row], column: str, colour: str, marker: str, floor: float) -> None:
    """Geometric mean and range over the seeds by kappa."""
    kappas = sorted({row["kappa"] for row in rows})
    grouped = [[max(float(row[column]), floor) for row in rows if row["kappa"] == kappa] for kappa in kappas]
    means = [math.exp(sum(map(math.log, group)) / len(group)) for group in grouped]
    axes.plot(kappas, means, color=colour, marker=marker, markersize=3.5, linewidth=1.1, markerfacecolor="white")
    axes.fill_between(kappas, [min(g) for g in grouped], [max(g) for g in grouped], color=colour, alpha=0.2, linewidth=0)


def _finish(axes: Any) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(r"condition number $\kappa$ of the map")
    axes.grid(True, which="major", linewidth=0.3, color="#cccccc")
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Any, methods: Sequence[str], line: Any) -> None:
    handles = [
        line([], [], color=colour, marker=marker, markersize=3.5, linewidth=1.1, markerfacecolor="white", label=label)
        for label, colour, marker in (STYLE[method] for method in methods)
    ]
    handles.append(line([], [], color="#555555", linewidth=0.8, linestyle="--", label="rounding bound"))
    if len(methods) > 2:
        handles += [
            line([], [], color="#666666", marker=marker, linestyle="none", markersize=5.5, label=label)
            for label, marker in PLACEHOLDER_STYLE.values()
        ]
    columns = 5 if len(handles) > 6 else len(handles)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=1.8, columnspacing=1.6
    )
