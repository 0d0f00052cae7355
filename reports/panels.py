"""Three panels side by side, the form of a figure of E1 and E2."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require


def draw_panels(draw: Sequence[Callable[[Any], None]], paths: Sequence[Path]) -> list[Path]:
    """Draw one panel with each function, lettered (a), (b), ..., and write the figure.

    Args:
        draw: functions of a pair of axes.
        paths: files to write; their suffix says the format.

    Returns:
        The paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib").use("Agg")
    plt = require("matplotlib.pyplot")
    figure, axes = plt.subplots(1, len(draw), figsize=(14, 4.4), layout="constrained", squeeze=False)
    for axis, function, letter in zip(axes[0], draw, "abcdef", strict=False):
        function(axis)
        axis.grid(True, alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(f"({letter})", loc="left", fontsize=11, fontweight="bold")
    for path in paths:
        figure.savefig(path, dpi=300, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    plt.close(figure)
    return list(paths)
