"""The figure of experiment E2: as published beside as it should be."""

from functools import partial
from pathlib import Path
from typing import Any

from fishergauge.reports.e1_figure import GREY, NATURAL, SGD
from fishergauge.reports.e2_tables import EPSILONS, Runs
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import draw_panels

COLOURS = {"sgd": SGD, "natgrad": NATURAL}
LABELS = {"sgd": "SGD", "natgrad": "natural gradient"}
LINES = {1e-4: ":", 3e-4: "--", 1e-3: "-"}


def draw_e2(runs: Runs, out: Path) -> list[Path]:
    """Draw accuracies as published and on fair test data, the loss by budget, and the paired gain by budget.

    Args:
        runs: the results of one data set.
        out: an existing folder.

    Returns:
        The paths of ``E2_figure`` as PNG, PDF and SVG.
    """
    panels = [partial(_accuracies, runs=runs), partial(_losses, runs=runs), partial(_gains, runs=runs)]
    return draw_panels(panels, figure_paths(out / "E2_figure"))


def _accuracies(axis: Any, runs: Runs) -> None:
    """Final accuracy of every run of the published protocol, on both test sets."""
    same = not len(runs.test_set)
    for i, wanted in enumerate(EPSILONS):
        for j, (method, colour) in enumerate(COLOURS.items()):
            part = runs.published[(runs.published["epsilon"] == wanted) & (runs.published["method"] == method)]
            x = i + 0.3 * j - 0.15
            first = i == 0
            axis.plot(
                [x] * len(part),
                part["final_accuracy_fair"],
                "o",
                color=colour,
                alpha=0.7,
                markersize=6,
                label=f"{LABELS[method]}, same class centres" if first and not same else LABELS[method] if first else None,
            )
            if not same:
                axis.plot(
                    [x] * len(part),
                    part["final_accuracy"],
                    "s",
                    color=colour,
                    fillstyle="none",
                    markersize=6,
                    label=f"{LABELS[method]}, published test set" if first else None,
                )
    axis.axhline(1 / runs.config["n_classes"], color=GREY, linewidth=1, linestyle=":", label="chance")
    axis.set_xticks(range(len(EPSILONS)), [f"{epsilon:g}" for epsilon in EPSILONS])
    axis.set(xlim=(-0.6, 2.6), ylim=(0, 1.03), xlabel="per-step KL, $\\varepsilon$", ylabel="final test accuracy, as published")
    axis.legend(fontsize=8.5, frameon=False, loc="center right")


def _losses(axis: Any, runs: Runs) -> None:
    """Training loss by spent KL, equal true KL per step, mean of the seeds."""
    for epsilon in EPSILONS:
        for method, colour in COLOURS.items():
            mean = (
                runs.corrected.query("epsilon == @epsilon and method == @method and step > 0").groupby("budget")["loss"].mean()
            )
            axis.plot(
                mean.index,
                mean,
                LINES[epsilon],
                color=colour,
                linewidth=1.5,
                label=f"{LABELS[method]}, $\\varepsilon$ = {epsilon:g}",
            )
    axis.set(xscale="log", xlabel="KL spent", ylabel="training loss, equal true KL per step")
    axis.legend(fontsize=8.5, frameon=False, loc="best")


def _gains(axis: Any, runs: Runs) -> None:
    """Paired difference of the losses by number of steps, with its standard error."""
    wide = runs.corrected.pivot_table(index=["epsilon", "step", "seed"], columns="method", values="loss").dropna()
    gain = ((wide["sgd"] - wide["natgrad"]) / wide["sgd"] * 100).groupby(["epsilon", "step"]).agg(["mean", "sem"]).fillna(0)
    for epsilon, colour in zip(EPSILONS, ("#009E73", "#CC79A7", "#000000"), strict=True):
        part = gain.loc[epsilon]
        axis.plot(part.index, part["mean"], LINES[epsilon], color=colour, linewidth=1.6, label=f"$\\varepsilon$ = {epsilon:g}")
        axis.fill_between(
            part.index, part["mean"] - part["sem"], part["mean"] + part["sem"], color=colour, alpha=0.15, linewidth=0
        )
    axis.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axis.margins(y=0.3)
    axis.set(xlabel="steps of equal true KL", ylabel="loss of the natural gradient below SGD's (%)")
    axis.legend(
        fontsize=8.5, frameon=False, loc="upper center", ncols=3, title="paired over the seeds, $\\pm$ s.e.", title_fontsize=8.5
    )
