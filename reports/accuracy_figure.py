"""The figure of accuracy against cost: a panel a problem, operations against distance, and the front."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from fishergauge.reports.accuracy_approximations import KINDS
from fishergauge.reports.accuracy_label_boxes import RADII, Box, around, placed
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_tables import by_problem
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import write_figure
from fishergauge.reports.panels import COLOURS, GREY

COLUMNS = 2
PANEL = (4.7, 3.3)  # inches
STYLE = {"font.size": 7.5, "axes.titlesize": 8.5, "axes.linewidth": 0.6, "font.family": "sans-serif"}
MARKERS: Mapping[str, tuple[str, str]] = {  # colour and marker
    "whole": (COLOURS[6], "D"),
    "blocks": (COLOURS[0], "s"),
    "kronecker": (COLOURS[1], "o"),
    "diagonal": (COLOURS[2], "^"),
    "low-rank": (COLOURS[3], "v"),
    "drawn": (COLOURS[4], "P"),
    "observed": (COLOURS[5], "X"),
    "subject": (COLOURS[6], "*"),
}
FRONT_SIZE, OTHER_SIZE = 6.8, 6.0  # of labels
FAR = 1.1  # times the height of a label: from here on a line leads to it
BELOW = 2.2  # times: the line of the exact ones above the lower end
LONGEST = 28  # letters of a label


def draw_accuracy(rows: Sequence[Row], paths: Sequence[Path]) -> list[Path]:
    """Draw what each approximation costs and how far it is from the exact Fisher.

    Args:
        rows: of a measurement.
        paths: files to write, whole or not at all; their suffix says the format.

    Returns:
        The paths; none where nothing was measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return write_figure(lambda: made_figure(rows), STYLE, paths, dpi=150)


def made_figure(rows: Sequence[Row]) -> Any:
    """The figure of :func:`draw_accuracy`, in the style that is set; None where there is nothing to draw."""
    groups = {name: [row for row in group if row.front is not None] for name, group in by_problem(rows).items()}
    groups = {name: group for name, group in groups.items() if group}
    if not groups:
        return None
    columns = min(COLUMNS, len(groups))
    lines = -(-len(groups) // columns)
    size = (PANEL[0] * columns, PANEL[1] * lines + 0.6)
    figure = require("matplotlib.figure").Figure(figsize=size)
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=0.65 / size[0], right=1 - 0.1 / size[0], bottom=1.0 / size[1], top=1 - 0.3 / size[1], wspace=0.2, hspace=0.3
    )
    for place, (name, group) in enumerate(groups.items()):
        axes = figure.add_subplot(lines, columns, place + 1)
        _panel(axes, name, group)
        if place % columns == 0:
            axes.set_ylabel("distance from the exact Fisher")
        if place + columns >= len(groups):
            axes.set_xlabel("operations of building it (FLOPs)")
    _legend(figure, {row.kind for group in groups.values() for row in group})
    return figure


def merged(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Rows with a label each; those at one point share it.

    Args:
        rows: of a panel.
    """
    points: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        key = (row.flops, 0.0 if row.exact else float(f"{row.distance:.9g}"), row.kind == "subject")
        points.setdefault(key, []).append(row)
    found = []
    for group in points.values():
        more = f" (+ {len(group) - 1} alike)" if len(group) > 1 else ""
        found.append((group[0], shortened(group[0].label) + more))
    return found


def shortened(label: str) -> str:
    """A label that leaves room for others, without what matplotlib would read as mathematics."""
    plain = " ".join(label.split()).replace("$", r"\$")
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 3]}..."


def power_of_ten(value: float, _: object = None) -> str:
    """The text of a tick: plain where it is short, otherwise a power of ten.

    Args:
        value: a power of ten.

    Example:
        >>> power_of_ten(0.01), power_of_ten(10.0), power_of_ten(1e7), power_of_ten(1e-5)
        ('0.01', '10', '10⁷', '10⁻⁵')
    """
    exponent = round(math.log10(value))
    if -3 <= exponent <= 3:
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _panel(axes: Any, name: str, rows: Sequence[Row]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    costs = [row.flops for row in rows if row.flops]
    distances = [row.distance for row in rows if row.distance and not row.exact]
    floor = 10 ** (math.floor(math.log10(min(distances, default=1.0))) - 0.5)
    least = min(costs, default=1.0) / 3  # where what is built without any counted operation stands
    points = {id(row): (row.flops or least, floor if row.exact else row.distance or floor) for row in rows}
    axes.set_xlim(min(x for x, _ in points.values()) / 2.5, max(x for x, _ in points.values()) * 6)
    axes.set_ylim(floor / BELOW, max(y for _, y in points.values()) * 2.2)
    _floors(axes, floor if any(row.exact for row in rows) else None, least if 0 in [row.flops for row in rows] else None)
    corners = _corners(sorted(points[id(row)] for row in rows if row.front))
    axes.plot(*zip(*corners, strict=True), color=GREY, linewidth=1.0, zorder=2, clip_on=False)
    for row in rows:
        colour, marker = MARKERS.get(row.kind, MARKERS["subject"])
        size = (9 if row.kind == "subject" else 5.5) * (1 if row.front else 0.75)
        look = {
            "color": colour,
            "markerfacecolor": colour if row.front else "none",
            "zorder": 4 if row.front else 3,
            "clip_on": False,
        }
        axes.plot(*points[id(row)], linestyle="none", marker=marker, markersize=size, markeredgewidth=0.8, **look)
    axes.set_title(shortened(name), loc="left", pad=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(power_of_ten)
    axes.yaxis.set_major_formatter(power_of_ten)
    _label(axes, rows, points, corners)


def _floors(axes: Any, floor: float | None, least: float | None) -> None:
    """Lines where the exact ones stand, and those for which no operation is counted."""
    style = {"color": GREY, "linewidth": 0.6, "linestyle": ":", "zorder": 1}
    text = {"textcoords": "offset points", "fontsize": OTHER_SIZE, "color": GREY}
    if floor is not None:
        axes.axhline(floor, **style)
        axes.annotate("exact", (0, floor), (2, 2), xycoords=("axes fraction", "data"), **text)
    if least is not None:
        axes.axvline(least, **style)
        axes.annotate("none counted", (least, 1), (2, -2), xycoords=("data", "axes fraction"), va="top", **text)


def _corners(on_front: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of the least distance that is to be had at a cost."""
    corners = [on_front[0]]
    for x, y in on_front[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _label(
    axes: Any, rows: Sequence[Row], points: Mapping[int, tuple[float, float]], corners: Sequence[tuple[float, float]]
) -> None:
    """The labels: those of subjects and of the front wherever there is room, the others beside their points."""
    named = sorted(merged(rows), key=lambda pair: (pair[0].kind != "subject", not pair[0].front, pair[0].flops or 0))
    renderer, unit = axes.figure.canvas.get_renderer(), axes.figure.dpi / 72
    where = [tuple(axes.transData.transform(points[id(row)])) for row, _ in named]
    bounds = axes.get_window_extent(renderer)
    frame = Box(bounds.x0, bounds.y0, bounds.x1, bounds.y1)
    first = [bool(row.front) or row.kind == "subject" for row, _ in named]
    looks = [_look(row, important) for (row, _), important in zip(named, first, strict=True)]
    sizes = [_size(axes, label, look, renderer) for (_, label), look in zip(named, looks, strict=True)]
    taken = [around(x, y, 3.2 * unit) for x, y in where]
    line = [tuple(axes.transData.transform(corner)) for corner in corners]
    taken += [Box(min(a, c), min(b, d) - 0.5, max(a, c) + 0.5, max(b, d)) for (a, b), (c, d) in pairwise(line)]
    corner = axes.transData.transform((axes.get_xlim()[0], axes.get_ylim()[0] * BELOW))  # of the line of the exact ones
    taken += [Box(bounds.x0, corner[1] - 0.5, bounds.x1, corner[1] + 0.5), around(corner[0], corner[1], 14 * unit)]
    boxes = placed(where, sizes, taken, frame, unit, [len(RADII) if important else 2 for important in first])
    back = axes.transData.inverted()
    for (_, label), point, box, look in zip(named, where, boxes, looks, strict=True):
        if box is None:
            continue
        near = box.nearest(*point)
        if math.dist(point, near) > FAR * (box.high - box.low):
            axes.plot(*zip(back.transform(point), back.transform(near), strict=True), color=GREY, linewidth=0.4, zorder=1)
        axes.text(*back.transform(box.middle), label, **look)


def _look(row: Row, important: bool) -> dict[str, Any]:
    """How a label is written."""
    return {
        "fontsize": FRONT_SIZE if important else OTHER_SIZE,
        "color": "black" if important else "#666666",
        "fontweight": "bold" if row.kind == "subject" else "normal",
        "ha": "center",
        "va": "center",
        "zorder": 5,
    }


def _size(axes: Any, label: str, look: Mapping[str, Any], renderer: Any) -> tuple[float, float]:
    """Width and height of a label, a little wider for the sake of other fonts."""
    text = axes.text(0.5, 0.5, label, transform=axes.transAxes, **look)
    box = text.get_window_extent(renderer)
    text.remove()
    return 1.04 * box.width, box.height


def _legend(figure: Any, kinds: set[str]) -> None:
    line = require("matplotlib.lines").Line2D
    handles = [
        line([], [], linestyle="none", marker=MARKERS[kind][1], color=MARKERS[kind][0], markersize=5)
        for kind in KINDS
        if kind in kinds
    ]
    labels = [KINDS[kind] for kind in KINDS if kind in kinds]
    handles += [
        line([], [], linestyle="none", marker="o", color=GREY, markersize=5),
        line([], [], linestyle="none", marker="o", color=GREY, markerfacecolor="none", markersize=4),
        line([], [], color=GREY, linewidth=1.0),
    ]
    labels += ["filled: on the front", "hollow: dominated", "least distance at a cost"]
    wide = min(len(labels), 4 if figure.get_figwidth() < 2.5 * PANEL[0] else 6)
    figure.legend(
        handles, labels, loc="lower center", ncols=wide, frameon=False, fontsize=7, columnspacing=1.2, handletextpad=0.4
    )
