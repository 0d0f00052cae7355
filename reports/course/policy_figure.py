"""The figure of experiment policy."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from fishergauge.reports.course.policy_tables import GOALS, best_sizes, run_rows
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import COLOURS, GREY, draw_grid

Row = dict[str, Any]
BLUE, RED, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
METHODS = {
    "gradient": (RED, "policy gradient, $\\alpha$"),
    "natural": (BLUE, "natural, $\\alpha$"),
    "trpo": (GREEN, "TRPO, $\\delta$"),
}
VARIANTS = {
    "pseudo-inverse": (RED, "s", "pseudo-inverse"),
    "factor 2 missing": (COLOURS[3], "v", "10 products, 1/2 forgotten"),
    "truncated": (BLUE, "o", "10 products, undamped"),
    "damped": (COLOURS[4], "^", "10 products, damped"),
}


def draw_policy(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw learning curves, divergences of the updates of TRPO, of single steps, and the two trust regions.

    Args:
        rows: of all studies.
        out: an existing folder.

    Returns:
        The paths of ``policy_figure`` as PNG, PDF and SVG.
    """
    study = {name: [row for row in rows if row["study"] == name] for name in ("learning", "steps", "regions")}
    panels = []
    if study["learning"]:
        panels.append(partial(_curves, rows=study["learning"]))
        trpo = [row for row in study["learning"] if row["method"] == "trpo" and row.get("kl") is not None]
        panels += [partial(_updates, rows=trpo)] if trpo else []
    if study["steps"]:
        panels.append(partial(_ratios, rows=study["steps"]))
    if study["regions"]:
        panels.append(partial(_regions, rows=study["regions"]))
    return draw_grid(panels, figure_paths(out / "policy_figure"))


def _curves(axis: Any, rows: Sequence[Row]) -> None:
    """Average return of fresh episodes by environment steps: each seed thin, the mean thick."""
    for method, size in best_sizes(run_rows(rows)).items():
        colour, label = METHODS[method]
        own = [row for row in rows if (row["method"], row["size"]) == (method, size) and row.get("mean_return") is not None]
        for seed in sorted({row["seed"] for row in own}):
            part = [row for row in own if row["seed"] == seed]
            axis.plot(
                [row["steps"] / 1000 for row in part],
                [row["mean_return"] for row in part],
                color=colour,
                linewidth=0.7,
                alpha=0.5,
            )
        steps = sorted({row["steps"] for row in own})
        means = [mean(row["mean_return"] for row in own if row["steps"] == step) for step in steps]
        axis.plot([step / 1000 for step in steps], means, color=colour, linewidth=2, label=f"{label} = {size:g}")
    for goal in GOALS:
        axis.axhline(goal, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(
        title="learning, best size of each", xlabel="environment steps (thousands)", ylabel="mean return of 24 fresh episodes"
    )
    axis.set(ylim=(0, 640))
    axis.legend(fontsize=9, frameon=False, loc="upper left")


def _updates(axis: Any, rows: Sequence[Row]) -> None:
    """Divergence over delta of each update of TRPO, before and after the line search."""
    number = [row["update"] for row in rows]
    first, last = ([row[key] / row["size"] for row in rows] for key in ("unsearched_kl", "kl"))
    axis.plot(number, first, "o", color=RED, fillstyle="none", markersize=4.5, label="quadratic length, before the search")
    axis.plot(number, last, "o", color=GREEN, markersize=3.5, label="the update that was made")
    axis.axhline(1, color=GREY, linewidth=1, linestyle=":")
    axis.set(yscale="log", title="TRPO keeps its constraint by the search", xlabel="update", ylabel="KL / $\\delta$")
    axis.set_ylim(0.5 * min(last), 4 * max(first))
    axis.legend(fontsize=9, frameon=False, loc="upper right")


def _ratios(axis: Any, rows: Sequence[Row]) -> None:
    """How far the divergence of single steps is from delta as that falls, the median of the batches."""
    for variant, (colour, marker, label) in VARIANTS.items():
        own = [row for row in rows if row["variant"] == variant]
        deltas = sorted({row["delta"] for row in own})
        error = [median(abs(row["ratio"] - 1) for row in own if row["delta"] == delta) for delta in deltas]
        axis.plot(deltas, error, marker + "-", color=colour, markersize=5, linewidth=1.3, label=label)
    slope = [deltas[0], 1e-3]
    axis.plot(slope, [0.3 * delta**0.5 for delta in slope], color=GREY, linewidth=1, linestyle=":", label="slope 1/2")
    axis.set(
        xscale="log",
        yscale="log",
        title="one step of quadratic KL $\\delta$",
        xlabel="$\\delta$",
        ylabel="|KL / $\\delta$ $-$ 1|",
    )
    axis.legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(0, 0.68))


def _regions(axis: Any, rows: Sequence[Row]) -> None:
    """Length of both solutions by the radius, in units of the full natural-gradient step."""
    ratios = sorted({row["ratio"] for row in rows})
    lengths = {
        section: [ratio * median(row[f"spent_{section}"] for row in rows if row["ratio"] == ratio) for ratio in ratios]
        for section in (5, 7)
    }
    axis.plot(ratios, lengths[7], "s-", color=BLUE, markersize=6, linewidth=1.3, label="section 7: linear objective")
    axis.plot(ratios, lengths[5], "o-", color=RED, markersize=4, linewidth=1.3, label="section 5: with $d'Fd/2$")
    axis.axvline(1, color=GREY, linewidth=1, linestyle=":")
    axis.set(xscale="log", yscale="log", title="two trust regions, $\\delta_5^2 = 2\\delta_7$")
    axis.set(xlabel="radius / length of $F^{-1}g$", ylabel="length of the solution / that of $F^{-1}g$")
    axis.legend(fontsize=9, frameon=False, loc="upper left")
