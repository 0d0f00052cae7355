"""The figure of the experiment ``posterior``."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fishergauge.reports.experiment import Results
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.gauss_newton.log_normal_regression import published_data
from fishergauge.reports.gauss_newton.over_parametrised_regression import FEATURES
from fishergauge.reports.panels import draw_panels

KERNEL, IMAGE, GREY, BAYES = "#D55E00", "#0072B2", "#777777", "#009E73"
AXES = {"major axis": KERNEL, "minor axis": IMAGE}


def draw_posterior(results: Results, out: Path) -> list[Path]:
    """Draw the published ellipse, its two axes as lines over the data, a real kernel, and how it shrinks with the data.

    Args:
        results: of the experiment.
        out: an existing folder.

    Returns:
        The paths of ``posterior_figure`` as PNG, PDF and SVG.
    """
    by_study: dict[str, list[dict[str, Any]]] = {"axes": [], "split": []}
    for cell, record in results:
        by_study[str(dict(cell.settings)["study"])].append(record)
    panels = []
    if by_study["axes"]:
        panels += [partial(_ellipses, record=by_study["axes"][0]), partial(_lines, record=by_study["axes"][0])]
    if by_study["split"]:
        panels += [partial(_functions, curves=by_study["split"][0]["curves"]), partial(_dimensions, records=by_study["split"])]
    return draw_panels(panels, figure_paths(out / "posterior_figure"))


def _ellipses(axis: Any, record: dict[str, Any]) -> None:
    """One standard deviation of the published posterior and of the right one, with their axes."""
    summary, angle = record["summary"], np.linspace(0, 2 * np.pi, 200)
    centre = np.array([summary["map_slope"], summary["map_intercept"]])
    for key, label, colour in (
        ("published_deviation", "as published, precision over N", GREY),
        ("deviation", "Bayes' rule", BAYES),
    ):
        half = [row[key] * np.array([row["slope"], row["intercept"]]) for row in record["rows"]]
        around = centre + np.outer(np.cos(angle), half[0]) + np.outer(np.sin(angle), half[1])
        axis.fill(
            *around.T,
            facecolor=colour,
            edgecolor=colour,
            alpha=0.25 if colour == GREY else 1,
            zorder=4 if colour == BAYES else 1,
            label=label,
        )
    for row in record["rows"]:
        ends = np.outer([-1, 1], row["published_deviation"] * np.array([row["slope"], row["intercept"]])) + centre
        meant = "kernel" if row["axis"] == "major axis" else "non-kernel"
        axis.plot(*ends.T, color=AXES[row["axis"]], linewidth=2, label=f'{row["axis"]}, shown as "{meant}"')
    axis.set(xlabel="slope", ylabel="intercept", xlim=centre[0] + np.array([-2.6, 2.6]), ylim=centre[1] + np.array([-2.0, 3.2]))
    axis.set_aspect("equal", adjustable="box")
    axis.legend(fontsize=8, frameon=False, loc="upper right")


def _lines(axis: Any, record: dict[str, Any]) -> None:
    """The predictions along the two axes, at one standard deviation of the right posterior times ten, to be seen."""
    inputs, targets = (tensor[:, 0].numpy() for tensor in published_data())
    grid, summary = np.array([0.0, 10.0]), record["summary"]
    axis.plot(inputs, targets, ".", color=GREY, markersize=2, alpha=0.35)
    for row in record["rows"]:
        for sign in (-1, 1):
            factor = sign * 10 * row["deviation"]
            slope, intercept = (
                summary["map_slope"] + factor * row["slope"],
                summary["map_intercept"] + factor * row["intercept"],
            )
            label = f"{row['axis']}: {row['share']:.1%} of the variance" if sign > 0 else None
            axis.plot(grid, slope * grid + intercept, color=AXES[row["axis"]], linewidth=1.6, label=label)
    axis.set(xlabel="x", ylabel="predictions, ten deviations along an axis", xlim=(0, 10), ylim=(0, 27))
    axis.legend(fontsize=8, frameon=False, loc="upper left")


def _functions(axis: Any, curves: dict[str, Any]) -> None:
    """Draws of a posterior with a real kernel: those in the kernel are pinned at the data."""
    for name, colour, label in (("kernel", KERNEL, "draws in the kernel"), ("image", IMAGE, "draws in the image")):
        for number, curve in enumerate(curves[name][:12]):
            axis.plot(curves["x"], curve, color=colour, linewidth=0.8, alpha=0.55, label=label if number == 0 else None)
    axis.plot(curves["x"], curves["fit"], color="black", linewidth=1.5, label="mean")
    axis.plot(curves["inputs"], curves["targets"], "o", color="black", markersize=5, zorder=5, label="data")
    axis.set(xlabel="x", ylabel=f"predictions, {FEATURES} parameters, {len(curves['inputs'])} data", ylim=(-2.6, 3.4))
    axis.legend(fontsize=8, frameon=False, loc="upper center", ncols=2)


def _dimensions(axis: Any, records: Sequence[dict[str, Any]]) -> None:
    """What is left of the kernel with more data: its dimension, its share of the parameters, what the data determine."""
    pandas = require("pandas")
    mean = pandas.DataFrame([row for record in records for row in record["rows"]]).groupby("samples").mean(numeric_only=True)
    axis.plot(mean.index, mean["kernel_dimension"], "o-", color=KERNEL, label="dimension of the kernel")
    axis.plot(mean.index, mean["effective_parameters"], "s-", color=IMAGE, label="effective number of parameters")
    axis.plot(
        mean.index,
        FEATURES * mean["kernel_share_of_parameters"],
        "^--",
        color=BAYES,
        label=f"kernel's share of the variance ($\\times$ {FEATURES})",
    )
    axis.set(xscale="log", xlabel="number of data", ylabel="number of parameters", ylim=(-1, 34))
    axis.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False, loc="upper right")
