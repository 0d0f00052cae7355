"""The figure of experiment E1: as published beside as it should be."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fishergauge.reports.e1_tables import EPSILONS, Tables, aggregated
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import draw_panels

SGD, NATURAL, LIMIT, GREY = "#D55E00", "#0072B2", "#000000", "#777777"  # Okabe and Ito's palette
STYLES = {"sgd": (SGD, "s", "SGD"), "natgrad": (NATURAL, "o", "natural gradient")}


def draw_e1(tables: Tables, out: Path) -> list[Path]:
    """Draw reported and true divergence, the loss reductions, and the advantage with its limit.

    Args:
        tables: of one data set.
        out: an existing folder.

    Returns:
        The paths of ``E1_figure`` as PNG, PDF and SVG.
    """
    panels = [partial(_divergences, tables=tables), partial(_reductions, tables=tables), partial(_advantages, tables=tables)]
    return draw_panels(panels, figure_paths(out / "E1_figure"))


def _divergences(axis: Any, tables: Tables) -> None:
    """KL reported and true KL against the KL asked for, as published."""
    table = aggregated(tables.raw)
    axis.plot(EPSILONS, EPSILONS, color=GREY, linewidth=1, label="asked for")
    for method, (colour, marker, label) in STYLES.items():
        part = table[table["method"] == method]
        size = 8 if method == "sgd" else 4
        axis.plot(part["epsilon"], part["true_kl_mean"], marker, color=colour, markersize=size, label=f"true, {label}")
        axis.plot(
            part["epsilon"],
            part["kl_step_mean"],
            marker,
            color=colour,
            markersize=size,
            fillstyle="none",
            label=f"reported, {label}",
        )
    axis.set(xscale="log", yscale="log", xlabel="per-step KL asked for, $\\varepsilon$", ylabel="KL of the step, as published")
    axis.set_ylim(top=1e3)
    axis.legend(fontsize=8.5, frameon=False, loc="upper left")


def _reductions(axis: Any, tables: Tables) -> None:
    """Loss reduction over its leading order against the true KL: as published, and at equal true KL."""
    table = aggregated(tables.raw)
    fair = tables.corrected[tables.corrected["epsilon"] >= EPSILONS[0]].groupby("epsilon")
    for method, (colour, marker, label) in STYLES.items():
        part = table[table["method"] == method]
        scaled = part["delta_loss_mean"] / np.sqrt(2 * part["true_kl_mean"])
        axis.plot(
            part["true_kl_mean"], scaled, marker, color=colour, fillstyle="none", markersize=7, label=f"{label}, as published"
        )
        mean = fair[f"delta_loss_{method}"].mean()
        line = "-" if method == "natgrad" else "--"
        axis.plot(
            mean.index, mean / np.sqrt(2 * mean.index), line, color=colour, linewidth=1.6, label=f"{label}, equal true KL"
        )
    axis.set(xscale="log", xlabel="true KL of the step", ylabel="reduction of the loss / $\\sqrt{2\\,KL}$", ylim=(0, None))
    axis.set_ylim(0, 1.35 * axis.get_ylim()[1])
    axis.legend(fontsize=8.5, frameon=False, loc="upper left", ncols=2)


def _advantages(axis: Any, tables: Tables) -> None:
    """The relative advantage: as published, at equal true KL, and its closed-form limit."""
    fair = tables.corrected_by_epsilon()
    limit = 100 * tables.limits["limit"]
    axis.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axis.axhline(limit.mean(), color=LIMIT, linewidth=1.2, linestyle="--", label="closed-form limit, mean of the seeds")
    axis.fill_between(
        fair.index,
        fair["mean"] - fair["std"].fillna(0),
        fair["mean"] + fair["std"].fillna(0),
        color=NATURAL,
        alpha=0.15,
        linewidth=0,
        label="equal true KL, s.d. over the seeds",
    )
    axis.plot(
        fair.index, fair["mean"], "-o", color=NATURAL, markersize=4, linewidth=1.6, label="equal true KL, mean of the seeds"
    )
    axis.plot(EPSILONS, tables.advantages(tables.raw), "-s", color=SGD, markersize=5, linewidth=1.4, label="as published")
    if tables.drawn is not None:
        axis.plot(
            EPSILONS,
            tables.advantages(tables.drawn),
            ":^",
            color="#CC79A7",
            markersize=4,
            linewidth=1.4,
            label="as published, its own random draws",
        )
    axis.set(xscale="log", xlabel="per-step KL, $\\varepsilon$", ylabel="advantage of the natural gradient (%)")
    low, high = axis.get_ylim()
    axis.set_ylim(low - 0.45 * (high - low), high)
    axis.legend(fontsize=8.5, frameon=False, loc="lower left")
