"""Lettered panels, the form of most figures: three side by side, or more of them in rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
GREY = "#777777"
INK, CHALK = "#010101", "#fefefe"
"""Black and white on a coloured field. The page leaves them as they are, and turns pure black and white to ink and paper."""
LETTERS = "abcdef"

Draw = Callable[[Any], None]


def draw_panels(draw: Sequence[Draw], paths: Sequence[Path]) -> list[Path]:
    """Draw one panel with each function side by side, lettered (a), (b), ..., and write the figure.

    Args:
        draw: functions of a pair of axes.
        paths: files to write; their suffix says the format.

    Returns:
        The paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _figure(1, len(draw), (14, 4.4))
    for axis, function, letter in zip(axes, draw, LETTERS, strict=False):
        _drawn(axis, function)
        axis.set_title(f"({letter})", loc="left", fontsize=11, fontweight="bold")
    return _written(figure, paths, 300)


def draw_grid(draw: Sequence[Draw], paths: Sequence[Path], columns: int = 2) -> list[Path]:
    """Draw one panel with each function along rows, with its title behind the letter, and write the figure.

    Args:
        draw: functions of a pair of axes, at most six.
        paths: files to write; their suffix says the format.
        columns: panels in a row.

    Returns:
        The paths; none where there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if not draw:
        return []
    rows = -(-len(draw) // columns)
    figure, axes = _figure(rows, columns, (5.4 * columns, 4.1 * rows))
    for spare in axes[len(draw) :]:
        spare.axis("off")
    for axis, function, letter in zip(axes, draw, LETTERS, strict=False):
        _drawn(axis, function)
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left", fontsize=11, fontweight="bold")
        axis.set_title("")
        legend = axis.get_legend()
        if legend is not None:
            legend.set_in_layout(False)  # a wide one shall not narrow its panel
    return _written(figure, paths, 200)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """An empty figure and its axes, along the rows."""
    require("matplotlib").use("Agg")
    figure, axes = require("matplotlib.pyplot").subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, axes.flat


def _drawn(axis: Any, function: Draw) -> None:
    """Draw one panel, framed like the others."""
    function(axis)
    axis.grid(True, alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _written(figure: Any, paths: Sequence[Path], dpi: int) -> list[Path]:
    """Write a figure and forget it."""
    save_figure(figure, paths, dpi=dpi)
    require("matplotlib.pyplot").close(figure)
    return list(paths)
