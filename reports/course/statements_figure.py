"""The figure of the course: all statements with the deviations that decide them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths, save_figure

COLOURS = {"confirmed": "#009E73", "confirmed only": "#E69F00", "refuted": "#D55E00", "not testable as published": "#000000"}
NAMES = {"confirmed only": "confirmed only if ..."}
TITLES = {
    1: "Information geometry",
    2: "Natural gradient descent",
    3: "Specific models",
    4: "Neural networks",
    5: "Practical algorithms",
    6: "Connections",
    7: "Advanced methods",
    8: "Computation",
    9: "Modern developments",
    10: "Applications",
}
FLOOR, CEILING = 1e-17, 1e7
GREY = "#777777"


@dataclass(frozen=True)
class Line:
    """A statement in the figure: its verdict, its deviations, and the bound they are compared with."""

    section: int
    name: str
    verdict: str
    written: float
    elsewhere: float | None
    control: float | None
    bound: float
    apart: bool


def draw_course(lines: Sequence[Line], out: Path) -> list[Path]:
    """Draw the statements by section in two columns.

    Args:
        lines: in the order of the course.
        out: an existing folder.

    Returns:
        The paths of ``course_figure`` as PNG, PDF and SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib").use("Agg")
    plt = require("matplotlib.pyplot")
    columns = _columns(lines)
    height = max(len(column) + len({line.section for line in column}) for column in columns)
    figure, axes = plt.subplots(1, 2, figsize=(14, 0.9 + 0.27 * height), layout="constrained")
    for axis, column in zip(axes, columns, strict=True):
        _draw_column(axis, column, height)
    figure.legend(handles=_handles(lines), loc="outside upper center", ncols=7, frameon=False, fontsize=9.5, columnspacing=1.4)
    paths = figure_paths(out / "course_figure")
    save_figure(figure, paths, dpi=200)
    plt.close(figure)
    return paths


def _columns(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The statements in two parts of whole sections, as even as possible."""

    def rows(part: Sequence[Line]) -> int:
        return len(part) + len({line.section for line in part})

    cuts = [i for i in range(1, len(lines)) if lines[i].section != lines[i - 1].section] or [len(lines)]
    cut = min(cuts, key=lambda i: abs(rows(lines[:i]) - rows(lines[i:])))
    return list(lines[:cut]), list(lines[cut:])


def _draw_column(axis: Any, lines: Sequence[Line], height: int) -> None:
    """One column: a heading a section, a row a statement."""
    y, places, labels, section = 0, [], [], None
    for line in lines:
        if line.section != section:
            section = line.section
            axis.text(-0.01, y, f"{section}  {TITLES[section]}", transform=axis.get_yaxis_transform(), ha="right", va="center",
                      fontsize=9.5, fontweight="bold")  # fmt: skip
            y += 1
        colour = COLOURS[line.verdict]
        shown = [_placed(x) for x in (line.written, line.elsewhere, line.control) if x is not None]
        axis.plot([min(shown), max(shown)], [y, y], color=colour, linewidth=1, alpha=0.4, zorder=1)
        if line.bound > 0:
            axis.plot(_placed(line.bound), y, "|", color=GREY, markersize=9, markeredgewidth=1.3)
        if line.control is not None:
            axis.plot(_placed(line.control), y, "x", color=GREY, markersize=6, markeredgewidth=1.5)
        if line.elsewhere is not None:
            axis.plot(_placed(line.elsewhere), y, "D", color=colour, fillstyle="none", markersize=5.5, markeredgewidth=1.5)
        axis.plot(_placed(line.written), y, "o", color=colour, markersize=7)
        places.append(y)
        labels.append(line.name + (" (≠)" if line.apart else ""))
        y += 1
    axis.set_yticks(places, labels, fontsize=9.5)
    axis.set(xscale="log", xlim=(FLOOR / 3, CEILING), ylim=(height - 0.4, -0.6), xlabel="relative deviation from the statement")
    axis.set_xticks([FLOOR, 1e-12, 1e-8, 1e-4, 1, 1e4], ["0", "$10^{-12}$", "$10^{-8}$", "$10^{-4}$", "1", "$10^4$"])
    axis.minorticks_off()
    axis.grid(True, axis="x", alpha=0.25, linewidth=0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)


def _placed(value: float) -> float:
    """Where a deviation stands on the axis; zero, and what is below the floor, at the floor."""
    return min(max(value, FLOOR), CEILING / 2)


def _handles(lines: Sequence[Line]) -> list[Any]:
    """The legend: verdicts by colour, kinds of figures by marker."""
    mark = require("matplotlib.lines").Line2D
    handles = []
    for verdict, colour in COLOURS.items():
        count = sum(line.verdict == verdict for line in lines)
        if count:
            handles.append(mark([], [], color=colour, linewidth=4, label=f"{NAMES.get(verdict, verdict)} ({count})"))
    plain = {"color": "#333333", "linestyle": "none"}
    return [
        *handles,
        mark([], [], marker="o", markersize=7, label="as meant", **plain),
        mark([], [], marker="D", fillstyle="none", label="where the words reach as well", **plain),
        mark([], [], marker="x", label="wrong variant", **plain),
        mark([], [], marker="|", markersize=9, label="bound; (≠): a difference is claimed", **plain),
    ]
