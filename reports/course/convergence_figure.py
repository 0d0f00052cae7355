"""The figure of the experiment on convergence: predicted and measured."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import COLOURS, GREY, draw_grid

Row = dict[str, Any]
METHODS = {
    "gradient": ("gradient descent", "s"),
    "heavy ball": ("heavy ball", "D"),
    "damped 0.01": ("natural, damped, $\\lambda = 10^{-2}$", "^"),
    "damped 0.0001": ("natural, damped, $\\lambda = 10^{-4}$", "v"),
    "natural 0.5": ("natural, $\\eta = 1/2$", "x"),
    "natural 1": ("natural, $\\eta = 1$", "o"),
}


def draw_convergence(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw steps by condition number, the path of logistic regression, empirical Fisher and deep linear networks.

    Args:
        rows: of all studies.
        out: an existing folder.

    Returns:
        The paths of ``convergence_figure`` as PNG, PDF and SVG.
    """
    by_study = {"least squares": _steps, "logistic": _paths, "noise": _noise, "deep linear": _depths}
    first = [row for row in rows if row["seed"] == 0]
    panels = [
        partial(draw, rows=[row for row in first if row["study"] == study])
        for study, draw in by_study.items()
        if any(row["study"] == study for row in first)
    ]
    return draw_grid(panels, figure_paths(out / "convergence_figure"))


def _steps(axis: Any, rows: Sequence[Row]) -> None:
    """Steps to an error of 1e-6 against the condition number: lines predicted, markers measured."""
    for (method, (label, marker)), colour in zip(METHODS.items(), COLOURS, strict=False):
        part = sorted((row for row in rows if row["method"] == method), key=lambda row: float(row["kappa"]))
        kappas = [row["kappa"] for row in part]
        axis.plot(kappas, [max(1.0, row["predicted_steps"]) for row in part], "-", color=colour, linewidth=1)
        axis.plot(kappas, [row["measured_steps"] for row in part], marker, color=colour, markersize=6, label=label)
    axis.set(xscale="log", yscale="log", xlabel="condition number $\\kappa$", ylabel="steps to an error of $10^{-6}$")
    axis.set_title("least squares: lines predicted, markers measured")
    axis.set_ylim(0.6, 1e11)
    axis.legend(fontsize=8.5, frameon=False, loc="upper left", ncols=2)


def _paths(axis: Any, rows: Sequence[Row]) -> None:
    """Error along natural-gradient steps from zero, beside what gradient descent makes of it."""
    for row, colour in zip(rows, COLOURS, strict=False):
        errors = np.array(row["natural_errors_from_zero"])
        steps = np.arange(len(errors))
        kept = errors > 1e-15
        label = f"{row['features']} features, $\\kappa$ = {row['kappa']:.0f}"
        axis.plot(steps[kept], errors[kept], "o-", color=colour, markersize=4, linewidth=1.3, label=label)
        axis.plot(steps, row["gradient_predicted_rate"] ** steps, "--", color=colour, linewidth=1)
    axis.plot([], [], "--", color=GREY, linewidth=1, label="gradient descent's rate (all near one)")
    axis.set(yscale="log", xlabel="natural-gradient steps of length one", ylabel="error relative to the start")
    axis.set_title("logistic regression on breast-cancer")
    axis.legend(fontsize=8.5, frameon=False, loc="lower left")


def _noise(axis: Any, rows: Sequence[Row]) -> None:
    """Contraction of one step with the empirical Fisher against the noise."""
    part = sorted(rows, key=lambda row: float(row["noise"]))
    noises = [row["noise"] for row in part]
    axis.plot(
        noises, [row["predicted_rate"] for row in part], "-", color=COLOURS[1], label="spectral radius of $I - F_{emp}^{-1} H$"
    )
    axis.plot(
        noises, [row["measured_rate"] for row in part], "o", color=COLOURS[1], markersize=5, label="empirical Fisher, measured"
    )
    fine = np.geomspace(noises[0], noises[-1], 400)
    axis.plot(fine, np.abs(1 - 1 / (2 * fine**2)), ":", color=COLOURS[2], label="$|1 - 1/(2\\sigma^2)|$, many samples")
    axis.axhline(1, color=GREY, linewidth=1)
    axis.text(noises[-1], 1.15, "diverges", ha="right", va="bottom", color=GREY, fontsize=9)
    axis.text(noises[-1], 0.8, "converges", ha="right", va="top", color=GREY, fontsize=9)
    axis.set(
        xscale="log", yscale="log", xlabel="standard deviation of the noise $\\sigma$", ylabel="error after a step / before"
    )
    axis.set_ylim(0.05, 300)
    axis.set_title("linear regression, empirical Fisher")
    axis.legend(fontsize=8.5, frameon=False, loc="upper right")


def _depths(axis: Any, rows: Sequence[Row]) -> None:
    """Error of the function by steps of K-FAC, of length one and one over the depth."""
    part = [row for row in rows if row["kappa"] > 1 and row["method"] == "kfac" and row["depth"] > 1]
    depths = sorted({row["depth"] for row in part})
    for depth, colour in zip(depths, COLOURS, strict=False):
        for row in part:
            if row["depth"] == depth:
                errors = np.array(row["errors"])
                whole = row["length"] == 1
                label = f"L = {depth}, $\\eta = {'1' if whole else f'1/{depth}'}$"
                axis.plot(errors, "s--" if whole else "o-", color=colour, markersize=10 - 2 * depth, linewidth=1.3, label=label)
    axis.axhline(1, color=GREY, linewidth=0.8)
    axis.set(yscale="log", xlabel="steps of K-FAC (= exact blocks)", ylabel="error of the function / at the start")
    axis.set_title("deep linear networks of L layers")
    axis.set_ylim(1e-16, 1e14)
    axis.legend(fontsize=8.5, frameon=False, loc="upper right", ncols=2)
