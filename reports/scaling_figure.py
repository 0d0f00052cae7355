"""The figure of growth: counted operations and bytes against N, P and C, with exponents beside the lines."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure
from fishergauge.reports.label_places import spread
from fishergauge.reports.panels import COLOURS, GREY
from fishergauge.suites.benchmarks.scaling import ScalingRow
from fishergauge.suites.benchmarks.task import OPERATIONS

OPERATION_COLOURS = {
    "dense": COLOURS[0],
    "blocks": COLOURS[5],
    "diagonal": COLOURS[2],
    "factors": COLOURS[1],
    "rows": COLOURS[3],
    "first-product": COLOURS[4],
    "product": COLOURS[4],
    "solve": COLOURS[6],
    "step": GREY,
}
MARKERS = {"fisher": "s", "ggn": "o", "empirical-fisher": "^", "hessian": "D", "kfac": "v", "gradient": "P"}
DASHES = {"fishergauge": "-", "backpack": "--", "notebook": ":"}
RED = "#D50000"
UNITS = {"flops": "operations of matrix products", "bytes": "bytes held", "seconds": "seconds"}
SHORT = {"flops": "operations", "bytes": "bytes held", "seconds": "seconds"}
NAMES = {"N": "samples N", "P": "parameters P", "C": "classes C", "D": "inputs D"}
PROBLEMS = {"mlp": "perceptrons", "softmax": "softmax regression"}
AXES = ("N", "P", "D", "C")
PANEL = (7.0, 4.9)  # inches, labels included
LABEL, GAP = 7.5, 1.3  # points, and line heights from label to label
ROOM = 0.47  # of a panel for its lines; the rest is for the labels


def draw_scaling(rows: Sequence[ScalingRow], paths: Sequence[Path], family: str = "mlp") -> list[Path]:
    """Draw a panel a measure and axis; beside each line the fitted exponent and, in brackets, that of theory.

    Colours tell operations apart, markers quantities, dashes whose implementation it is. What contradicts theory is red.

    Args:
        rows: of :func:`~fishergauge.suites.benchmarks.scaling.measure_scaling`.
        paths: files to write; their suffix says the format.
        family: of the problems.

    Returns:
        The paths; none where nothing was counted.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    own = [row for row in rows if row.family == family and row.costs and max(row.costs) > 0]
    if not own:
        return []
    with require("matplotlib").rc_context({"font.size": 9, "pdf.fonttype": 42, "axes.linewidth": 0.7}):
        figure = made_figure(own, family)
        save_figure(figure, paths, dpi=150)
    return list(paths)


def made_figure(rows: Sequence[ScalingRow], family: str) -> Any:
    """The figure of :func:`draw_scaling`."""
    measures = [measure for measure in UNITS if any(row.measure == measure for row in rows)]
    axes = [axis for axis in AXES if any(row.axis == axis for row in rows)]
    width, height = PANEL[0] * len(axes), PANEL[1] * len(measures) + 0.5
    figure = require("matplotlib.figure").Figure(figsize=(width, height))
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    letters = iter("abcdefghijkl")
    for line, measure in enumerate(measures):
        for column, name in enumerate(axes):
            own = [row for row in rows if (row.measure, row.axis) == (measure, name)]
            if not own:
                continue
            left = (column + 0.105) / len(axes)
            bottom = ((len(measures) - 1 - line) * PANEL[1] + 0.55) / height
            axis = figure.add_axes((left, bottom, ROOM / len(axes), (PANEL[1] - 1.0) / height))
            _draw(axis, own)
            axis.set(xlabel=NAMES[name], ylabel=UNITS[measure])
            axis.set_title(f"({next(letters)}) {SHORT[measure]} against {name}; {_held(own)}", loc="left", fontsize=9.5)
    figure.suptitle(
        f"Growth of counted costs on {PROBLEMS.get(family, family)}. Beside each line: exponent at the three largest sizes, "
        "in brackets that of the closed form there; red where they disagree",
        fontsize=11,
        y=1 - 0.12 / height,
        va="top",
    )
    return figure


def _held(rows: Sequence[ScalingRow]) -> str:
    """What stays; cases at more parameters have another one."""
    held = list(dict.fromkeys(row.held for row in rows))
    return held[0] if len(held) == 1 else "see the table"


def _draw(axis: Any, rows: Sequence[ScalingRow]) -> None:
    """Lines, and labels in a column on the right with leaders to the ends of their lines."""
    drawn = [row for row in sorted(rows, key=_order) if row.costs and max(row.costs) > 0]
    for row in drawn:
        axis.plot(row.sizes, [cost or math.nan for cost in row.costs], **_style(row))
    axis.set(xscale="log", yscale="log")
    ticker = require("matplotlib.ticker")
    sizes = sorted({size for row in drawn for size in row.sizes})
    axis.xaxis.set_major_locator(ticker.FixedLocator(_ticks(sizes)))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.grid(True, alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    ends = [_height(axis, row.costs[-1]) for row in drawn]
    inches = axis.figure.get_size_inches()[1] * axis.get_position().height
    places = spread(ends, LABEL * GAP / 72 / inches, 0.0, 1.0)
    for row, end, place in zip(drawn, ends, places, strict=True):
        colour = RED if row.wrong else OPERATION_COLOURS.get(row.operation, GREY)
        corner = _across(axis, row.sizes[-1])
        axis.plot(
            [corner, 1.04, 1.07], [end, place, place], color=colour, linewidth=0.5, transform=axis.transAxes, clip_on=False
        )
        weight = "bold" if row.wrong else "normal"
        axis.text(
            1.08, place, label(row), transform=axis.transAxes, fontsize=LABEL, va="center", color=colour, fontweight=weight
        )


def label(row: ScalingRow) -> str:
    """Exponent, that of theory in brackets, and whose line it is."""
    theory = "" if row.theory is None else f" ({row.theory:.2f})"
    exponent = "-" if row.exponent is None else f"{row.exponent:.2f}"
    whose = f"{row.implementation} ".removeprefix("fishergauge").removeprefix(":").lstrip()
    return f"{exponent}{theory}  {whose}{row.quantity} {row.operation}".replace("-0.00", "0.00")


def _ticks(sizes: Sequence[int]) -> list[int]:
    """At most five of the sizes, each at least 1.6 times the one before."""
    apart = [sizes[0]]
    for size in sizes[1:]:
        if size >= 1.6 * apart[-1]:
            apart.append(size)
    return apart[:: -(-len(apart) // 5)]


def _order(row: ScalingRow) -> tuple[int, str, str]:
    return OPERATIONS.index(row.operation) if row.operation in OPERATIONS else len(OPERATIONS), row.quantity, row.implementation


def _style(row: ScalingRow) -> dict[str, Any]:
    library = row.implementation.partition(":")[0]
    return {
        "color": RED if row.wrong else OPERATION_COLOURS.get(row.operation, GREY),
        "marker": MARKERS.get(row.quantity, "*"),
        "linestyle": DASHES.get(library, "-."),
        "linewidth": 1.3,
        "markersize": 4.5,
        "markerfacecolor": "white" if row.operation == "first-product" else None,
    }


def _height(axis: Any, cost: float) -> float:
    """Where a cost stands on the vertical axis, between zero and one."""
    low, high = (math.log(value) for value in axis.get_ylim())
    return (math.log(max(cost, 1e-300)) - low) / (high - low)


def _across(axis: Any, size: float) -> float:
    """Where a size stands on the horizontal axis, between zero and one."""
    low, high = (math.log(value) for value in axis.get_xlim())
    return (math.log(size) - low) / (high - low)
