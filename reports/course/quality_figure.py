"""The figure of the experiment on quality: approximations by measures at a glance, and whether entries predict steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fishergauge.reports.course.quality_tables import EXACT, GAIN, Row, pooled, predictions, select
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths, save_figure

COLOURS = {"start": "#0072B2", "midway": "#E69F00", "near optimum": "#D55E00"}
MARKERS = {"mlp": "o", "cnn": "s"}
COLUMNS = (
    ("matrix_error", "matrix error\n$|M - F| \\,/\\, |F|$", True),
    ("shape_error", "the same after\nthe best scalar", False),
    ("step_error", "error of the\ndamped step", True),
    ("cos_fisher", "cosine of the steps\nin the Fisher metric", False),
    (GAIN, "decrease at KL $10^{-4}$\nrelative to exact", False),
)


def draw_quality(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw a dot for each approximation, measure, network and point, and the gain against the error of the matrix.

    Args:
        rows: of all cells.
        out: an existing folder.

    Returns:
        The paths of ``quality_figure`` as PNG, PDF and SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    paths = figure_paths(out / "quality_figure")
    require("matplotlib").use("Agg")
    plt = require("matplotlib.pyplot")
    lines = pooled(rows)
    names = _order(lines)
    figure = plt.figure(figsize=(15.5, 0.27 * len(names) + 1.9), layout="constrained")
    axes = figure.subplots(1, len(COLUMNS) + 1, width_ratios=[1] * len(COLUMNS) + [1.9])
    for axis, (measure, title, logarithmic), letter in zip(axes, COLUMNS, "abcde", strict=False):
        _dots(axis, lines, names, measure, logarithmic)
        axis.set_title(f"({letter}) {title}", fontsize=9, loc="left")
    labels = {line["approximation"]: line["label"] for line in lines}
    axes[0].set_yticks(range(len(names)), [labels[name] for name in names], fontsize=9)
    _scatter(axes[-1], lines, rows)
    axes[-1].set_title("(f) do near entries make a good step?", fontsize=9, loc="left")
    handles = _handles(require("matplotlib.lines").Line2D, lines)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    save_figure(figure, paths, dpi=200)
    plt.close(figure)
    return paths


def _order(lines: Sequence[Row]) -> list[str]:
    """The approximations from the least gain, at the bottom, to the most."""
    names = list(dict.fromkeys(line["approximation"] for line in lines))
    gains = {name: [x[GAIN] for x in select(lines, approximation=name) if x[GAIN] is not None] for name in names}
    return sorted(names, key=lambda name: (float(np.mean(gains[name])) if gains[name] else -1.0, name in EXACT))


def _dots(axis: Any, lines: Sequence[Row], names: Sequence[str], measure: str, logarithmic: bool) -> None:
    floor = 1e-2 if logarithmic else 0.0
    known = [line for line in lines if line[measure] is not None]
    for key in dict.fromkeys((line["architecture"], line["point"], line[measure] < floor) for line in known):
        architecture, point, below = key
        own = [line for line in select(known, architecture=architecture, point=point) if (line[measure] < floor) == below]
        axis.plot(
            [max(line[measure], floor) for line in own],
            [names.index(line["approximation"]) + {"start": 0.2, "midway": 0.0}.get(point, -0.2) for line in own],
            color=COLOURS[point],
            marker=MARKERS[architecture],
            markersize=3.8,
            linestyle="none",
            markerfacecolor="white" if below else COLOURS[point],
        )
    axis.set(ylim=(-0.7, len(names) - 0.3), yticks=range(len(names)), yticklabels=[])
    axis.set_xscale("log" if logarithmic else "linear")
    if not logarithmic:
        axis.set_xlim(-0.06, 1.06)
    axis.grid(True, axis="y", linewidth=0.4, color="#dddddd")
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right", "left"]].set_visible(False)


def _scatter(axis: Any, lines: Sequence[Row], rows: Sequence[Row]) -> None:
    """The gain against the error of the matrix after the best scalar, with some approximations named."""
    others = [line for line in lines if line["approximation"] not in EXACT and line[GAIN] is not None]
    for line in others:
        axis.plot(
            [line["shape_error"]],
            [line[GAIN]],
            MARKERS[line["architecture"]],
            color=COLOURS[line["point"]],
            markersize=4.5,
            alpha=0.75,
        )
    found = predictions(rows)
    noted = {
        one: [row for row in found if row["architecture"] == one] for one in dict.fromkeys(row["architecture"] for row in found)
    }
    lists = [
        f"{one.upper()}: " + ", ".join(f"{row['shape_error']:.2f} ({row['point']})" for row in own)
        for one, own in noted.items()
    ]
    axis.text(
        0.98,
        0.02,
        "\n".join(["rank correlation (1: nearer is always better)", *lists]),
        transform=axis.transAxes,
        fontsize=8.5,
        ha="right",
        va="bottom",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )
    for name, text in {
        "low-rank-50": "rank 50",
        "fisher-layer-blocks": "layer blocks",
        "kfac-joint": "K-FAC",
        "hessian": "Hessian",
    }.items():
        own = select(others, approximation=name)
        if own:
            axis.annotate(
                text,
                (own[0]["shape_error"], own[0][GAIN]),
                (0, 5),
                textcoords="offset points",
                fontsize=8.5,
                ha="center",
                va="bottom",
                color="#333333",
            )
    low, high = axis.get_ylim()
    axis.set_ylim(low - 0.12 * (high - low), high)  # room for the correlations
    axis.set_xlabel("matrix error after the best scalar", fontsize=9)
    axis.set_ylabel("decrease at KL $10^{-4}$ relative to exact", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _handles(line: Any, lines: Sequence[Row]) -> list[Any]:
    points = list(dict.fromkeys(one["point"] for one in lines))
    architectures = list(dict.fromkeys(one["architecture"] for one in lines))
    named = {"mlp": "MLP 60-8-10", "cnn": "CNN, two convolutions"}
    return (
        [line([], [], color=COLOURS[point], marker="o", linestyle="none", label=point) for point in points]
        + [line([], [], color="#555555", marker=MARKERS[one], linestyle="none", label=named[one]) for one in architectures]
        + [
            line(
                [],
                [],
                color="#555555",
                marker="o",
                markerfacecolor="white",
                linestyle="none",
                label="smaller than the axis shows",
            )
        ]
    )
