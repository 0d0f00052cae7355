"""The figure of the experiment on efficiency: operations, time and memory against the number of parameters."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.course.efficiency_tables import Row, fitted, select
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths, save_figure

STYLES = {
    "exact-fisher": ("#0072B2", "-", "o"),
    "empirical-fisher": ("#0072B2", ":", "^"),
    "hessian": ("#000000", "-", "x"),
    "fisher-layer-blocks": ("#56B4E9", "-", "s"),
    "kfac-joint": ("#D55E00", "-", "o"),
    "ekfac-joint": ("#D55E00", ":", "^"),
    "shampoo": ("#E69F00", "-", "s"),
    "quasi-diagonal": ("#009E73", "-", "o"),
    "fisher-diagonal": ("#009E73", ":", "^"),
    "low-rank-10": ("#CC79A7", "-", "s"),
    "products": ("#CC79A7", ":", "o"),
}
"""What is drawn; the others cost the same as one of these, and are in the table."""
TICKS = (100, 300, 1000, 3000, 10_000, 30_000)
PANELS = (
    ("form", "flops", "forming", "floating-point operations"),
    ("solve", "flops", "one damped solve", "floating-point operations"),
    ("solve", "seconds", "one damped solve", "time (s)"),
    ("form", "numbers", "storage", "numbers kept"),
)


def draw_efficiency(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw four panels of lines, with the exponents at the largest sizes in the legends.

    Args:
        rows: of all cells.
        out: an existing folder.

    Returns:
        The paths of ``efficiency_figure`` as PNG, PDF and SVG; none where nothing is drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = [name for name in STYLES if any(row["approximation"] == name for row in rows)]
    if not names:
        return []
    paths = figure_paths(out / "efficiency_figure")
    require("matplotlib").use("Agg")
    plt = require("matplotlib.pyplot")
    figure, axes = plt.subplots(1, len(PANELS), figsize=(16, 6.2), layout="constrained")
    for axis, (stage, column, title, unit), letter in zip(axes, PANELS, "abcd", strict=True):
        for name in names:
            _line(axis, rows, name, stage, column)
        axis.set(xscale="log", yscale="log", xlabel="number of parameters P", ylabel=unit)
        low, high = axis.get_xlim()
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axis.set_title(f"({letter}) {title}", loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(
            fontsize=7.5,
            frameon=False,
            title="exponent of P (in brackets: of the formula)" if column == "flops" else "exponent of P",
            title_fontsize=7.5,
            loc="upper left",
            ncols=2,
            columnspacing=0.8,
        )
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** 0.35)
    lines = require("matplotlib.lines").Line2D
    labels = {row["approximation"]: row["label"] for row in rows}
    handles = [
        lines([], [], color=c, linestyle=s, marker=m, markersize=4, label=labels[n])
        for n, (c, s, m) in STYLES.items()
        if n in names
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    save_figure(figure, paths, dpi=200)
    plt.close(figure)
    return paths


def _line(axis: Any, rows: Sequence[Row], name: str, stage: str, column: str) -> None:
    own = [row for row in select(rows, approximation=name, stage=stage) if row[column] > 0]
    if not own:
        return
    colour, style, marker = STYLES[name]
    power = fitted(rows, name, stage, column)
    axis.plot(
        [row["P"] for row in own],
        [row[column] for row in own],
        color=colour,
        linestyle=style,
        marker=marker,
        markersize=3.5,
        linewidth=1.3,
        label="" if math.isnan(power) else f"{power:.2f}{_theory(rows, name, stage, column)}",
    )


def _theory(rows: Sequence[Row], name: str, stage: str, column: str) -> str:
    """The exponent that theory has for operations, in brackets."""
    return f" ({fitted(rows, name, stage, 'theory'):.2f})" if column == "flops" else ""
