"""The figure of the routes to the Jacobian: published and measured times, and times by number of samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure
from fishergauge.reports.gauss_newton.jacobian_tables import OURS, PUBLISHED, PUBLISHED_SAMPLES, Row, times

STYLE = {  # colour and marker
    "analytic": ("#000000", "o"),
    "torch loop": ("#D55E00", "s"),
    "torch.func": ("#E69F00", "^"),
    "torch.func by sample": ("#CC79A7", "v"),
    "reference": ("#56B4E9", "D"),
    "layers": ("#0072B2", "P"),
}
LABELS = {"torch.func by sample": "by sample", "torch.func": "torch.func", "reference": "reference", "layers": "layers"}
GREY = "#BBBBBB"
WIDTH, HEIGHT = 10.2, 3.6  # inches


def draw_jacobian(rows: list[Row], paths: Sequence[Path]) -> list[Path]:
    """Draw times at the published size beside the published ones, and times by number of samples for both models.

    Args:
        rows: of all cells.
        paths: files to write; their suffix says the format.

    Returns:
        The paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib")
    figure_class, canvas = require("matplotlib.figure").Figure, require("matplotlib.backends.backend_agg").FigureCanvasAgg
    with matplotlib.rc_context({"font.size": 9, "axes.linewidth": 0.6, "pdf.fonttype": 42, "axes.titlesize": 10}):
        figure = figure_class(figsize=(WIDTH, HEIGHT), layout="constrained")
        canvas(figure)
        bars, line, network = figure.subplots(1, 3, width_ratios=[1.7, 1, 1])
        _draw_bars(bars, rows)
        _draw_growth(line, rows, "line", "Jacobian, line")
        _draw_growth(network, rows, "network", "Jacobian, network 4-8-2")
        lowest = min(line.get_ylim()[0], network.get_ylim()[0])
        highest = max(line.get_ylim()[1], network.get_ylim()[1])
        for axis in (line, network):
            axis.set_ylim(lowest, highest)
        for axis, letter in zip((bars, line, network), "abc", strict=True):
            axis.set_title(f"({letter})", loc="left", fontweight="bold")
            axis.spines[["top", "right"]].set_visible(False)
        handles, labels = line.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=6, frameon=False)
        save_figure(figure, paths, dpi=200)
    return list(paths)


def _draw_bars(axis: Any, rows: list[Row]) -> None:
    """J'J / N at the published size; what was not published has one bar."""
    measured = times(rows, "line", PUBLISHED_SAMPLES, "ggn")
    routes = (*PUBLISHED, *OURS)
    for i, route in enumerate(routes):
        bars = [(PUBLISHED.get(route), GREY, "published"), (measured.get(route), "#0072B2", "measured here")]
        shown = [(value, colour, label) for value, colour, label in bars if value is not None]
        for j, (value, colour, label) in enumerate(shown):
            x = i + (0.4 * j - 0.2 if len(shown) == 2 else 0)
            axis.bar(x, value, 0.38, color=colour, label=label if i == 0 else None)
            # pairs of labels meet at the line between their bars
            place, shift = (("right", 0.17), ("left", -0.17))[j] if len(shown) == 2 else ("center", 0.0)
            axis.annotate(_short(value), (x + shift, value), ha=place, va="bottom", fontsize=6.5)
    axis.set_yscale("log")
    axis.set_xticks(range(len(routes)), [LABELS.get(route, route.replace(" ", "\n")) for route in routes], fontsize=7)
    axis.set(ylabel="seconds", ylim=(1e-6, 1))
    axis.set_title(f"$J'J/N$, line, {PUBLISHED_SAMPLES} samples")
    axis.legend(frameon=False, loc="upper right")


def _short(seconds: float) -> str:
    """A time with two digits, in the unit that makes it short."""
    return f"{1e6 * seconds:.2g} µs" if seconds < 1e-4 else f"{1e3 * seconds:.2g} ms"


def _draw_growth(axis: Any, rows: list[Row], model: str, title: str) -> None:
    """Times of the Jacobian by number of samples."""
    for route, (colour, marker) in STYLE.items():
        found = sorted(
            (row["samples"], row["seconds"])
            for row in rows
            if (row["model"], row["route"], row["quantity"]) == (model, route, "jacobian")
        )
        if found:
            axis.plot(*zip(*found, strict=True), color=colour, marker=marker, markersize=4.5, linewidth=1.2, label=route)
    axis.set(xscale="log", yscale="log", xlabel="samples N", ylabel="seconds")
    axis.set_title(title)
