"""The figure of the experiment Fisher against Hessian."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import COLOURS, GREY, draw_grid

Row = dict[str, Any]
LABELS = {
    "logistic": "logistic regression",
    "softmax": "softmax regression",
    "classifier": "network, digits",
    "regression": "network, regression",
}
BLUE, RED = COLOURS[0], COLOURS[1]


def draw_newton(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw gaps along the runs, negative eigenvalues and angles, decreases of both steps, and the paths of both methods.

    Args:
        rows: of all studies.
        out: an existing folder.

    Returns:
        The paths of ``newton_figure`` as PNG, PDF and SVG; none where nothing is there to be drawn.
    """
    run = [row for row in rows if row["study"] == "run" and row["seed"] == 0]
    network = [row for row in rows if row["study"] == "network"]
    panels = [partial(_gaps, rows=run)] if run else []
    if any(row["model"] in ("classifier", "regression") for row in run):
        panels += [partial(panel, rows=run) for panel in (_angles, _decreases)]
    if network:
        panels.append(partial(_paths, rows=network))
    if not panels:
        return []
    return draw_grid(panels, figure_paths(out / "newton_figure"))


def _gaps(axis: Any, rows: Sequence[Row]) -> None:
    """Relative distance of F from H at the observed labels, and from E[H]."""
    for (model, label), colour in zip(LABELS.items(), COLOURS, strict=False):
        part = [row for row in rows if row["model"] == model]
        steps = [max(1, row["step"]) for row in part]
        axis.plot(steps, [row["gap"] for row in part], "o-", color=colour, markersize=5, linewidth=1.4, label=label)
        axis.plot(steps, [row["expected_gap"] for row in part], "x:", color=colour, markersize=5, linewidth=1)
    axis.plot([], [], "o-", color=GREY, label="$|F - H| / |H|$, observed labels")
    axis.plot([], [], "x:", color=GREY, label="$|F - E[H]| / |F|$, labels of the model")
    axis.set(xscale="log", yscale="log", xlabel="steps of Adam (1 stands for the start)", ylabel="relative distance")
    axis.set_title("Fisher against Hessian")
    axis.set_ylim(1e-17, 3e1)
    axis.legend(fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(0, 0.5))


def _angles(axis: Any, rows: Sequence[Row]) -> None:
    """Angle between the steps, and the share of negative eigenvalues."""
    other = axis.twinx()
    for model, style in (("classifier", "-"), ("regression", "--")):
        part = [row for row in rows if row["model"] == model]
        steps = [max(1, row["step"]) for row in part]
        axis.plot(steps, [row["angle"] for row in part], "o" + style, color=BLUE, markersize=5, label=f"angle, {LABELS[model]}")
        share = [100 * row["negative"] / row["parameters"] for row in part]
        other.plot(steps, share, "s" + style, color=RED, markersize=5)
        axis.plot([], [], "s" + style, color=RED, markersize=5, label=f"negative eigenvalues, {LABELS[model]}")
    axis.set(xscale="log", xlabel="steps of Adam (1 stands for the start)", ylim=(0, 230))
    axis.set_ylabel("natural step to Newton's step (degrees)", color=BLUE)
    axis.set_yticks([0, 45, 90, 135, 180])
    other.set_ylabel("negative eigenvalues of H (%)", color=RED)
    other.set_ylim(0, 80)
    other.spines[["top"]].set_visible(False)
    axis.set_title("steps and signs, networks")
    axis.legend(fontsize=8.5, frameon=False, loc="upper right")


def _decreases(axis: Any, rows: Sequence[Row]) -> None:
    """Decrease of the loss by both steps with the same search of lengths, relative to the loss."""
    for model, style in (("classifier", "-"), ("regression", "--")):
        part = [row for row in rows if row["model"] == model]
        steps = [max(1, row["step"]) for row in part]
        for method, colour, marker in (("natural", BLUE, "o"), ("newton", RED, "s")):
            share = [max(1e-4, row[f"decrease_{method}"] / row["loss"]) for row in part]
            name = "natural" if method == "natural" else "Newton"
            axis.plot(steps, share, marker + style, color=colour, markersize=5, label=f"{name}, {LABELS[model]}")
    axis.axhline(1e-4, color=GREY, linewidth=0.8)
    axis.text(1000, 1.2e-4, "no length decreases the loss", color=GREY, fontsize=8.5, va="bottom", ha="right")
    axis.set(xscale="log", yscale="log", xlabel="steps of Adam (1 stands for the start)", ylabel="decrease of the loss / loss")
    axis.set_ylim(7e-5, 40)
    axis.set_title("one step, best of the same lengths")
    axis.legend(fontsize=8.5, frameon=False, loc="upper center", ncols=2)


def _paths(axis: Any, rows: Sequence[Row]) -> None:
    """Loss along both methods from the same starts; whether Newton's method ends with an indefinite Hessian."""
    for row in rows:
        newton = row["method"] == "newton"
        losses = row["losses"]
        axis.plot(losses, "-", color=RED if newton else BLUE, linewidth=1.2, alpha=0.8)
        if newton:
            marker, fill = ("X", "full") if row["negative"] else ("o", "none")
            axis.plot(len(losses) - 1, losses[-1], marker, color=RED, fillstyle=fill, markersize=8)
    axis.plot([], [], "-", color=BLUE, label="natural gradient, damped")
    axis.plot([], [], "-", color=RED, label="Newton")
    axis.plot([], [], "X", color=RED, markersize=8, linestyle="none", label="ends with an indefinite H")
    axis.plot([], [], "o", color=RED, fillstyle="none", markersize=8, linestyle="none", label="ends on a plateau")
    axis.set(yscale="log", xlabel="steps", ylabel="training loss")
    axis.set_title("training a network of 29 parameters")
    axis.set_ylim(top=6)
    axis.legend(fontsize=8.5, frameon=False, loc="upper center", ncols=2)
