"""Panels in rows, the form of a figure with more than three of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
GREY = "#777777"


def draw_grid(draw: Sequence[Callable[[Any], None]], paths: Sequence[Path], columns: int = 2) -> list[Path]:
    """Draw one panel with each function, lettered (a), (b), ... along the rows, and write the figure.

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
    require("matplotlib").use("Agg")
    plt = require("matplotlib.pyplot")
    rows = -(-len(draw) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5.4 * columns, 4.1 * rows), layout="constrained", squeeze=False)
    for spare in axes.flat[len(draw) :]:
        spare.axis("off")
    for axis, function, letter in zip(axes.flat, draw, "abcdef", strict=False):
        function(axis)
        axis.grid(True, alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left", fontsize=11, fontweight="bold")
        axis.set_title("")
        legend = axis.get_legend()
        if legend is not None:
            legend.set_in_layout(False)  # a wide one shall not narrow its panel
    for path in paths:
        figure.savefig(path, dpi=200, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    plt.close(figure)
    return list(paths)
