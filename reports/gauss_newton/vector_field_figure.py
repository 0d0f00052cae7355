"""The figure of the experiment on the vector field: fields with paths, angles, convergence, and distance from the Hessian."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure
from fishergauge.reports.gauss_newton.vector_field_paths import METHODS
from fishergauge.reports.gauss_newton.vector_field_tables import Found, column, distances_by_count

COLOURS = {"gradient": "#D55E00", "ggn": "#0072B2", "empirical": "#009E73"}
LABELS = {"gradient": "gradient", "ggn": "natural gradient (GGN)", "empirical": "empirical Fisher"}
GREY = "#999999"
WIDTH, HEIGHT = 10.2, 6.6  # inches


def draw_vector_field(found: Found, paths: Sequence[Path]) -> list[Path]:
    """Draw the three fields with the published paths above; angles, distances by steps and distances of matrices below.

    Args:
        found: all three records.
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
        axes = figure.subplots(2, 3).flatten()
        for axis, method in zip(axes, METHODS, strict=False):
            _draw_field(axis, found, method)
        _draw_angles(axes[3], found)
        _draw_convergence(axes[4], found)
        _draw_distances(axes[5], found)
        for axis, title in zip(
            axes[3:], ("direction of the update", "convergence", "empirical Fisher and Hessian"), strict=True
        ):
            axis.set_title(title)
        for axis, letter in zip(axes, "abcdef", strict=True):
            axis.set_title(f"({letter})", loc="left", fontweight="bold")
        for axis in axes[3:]:
            axis.spines[["top", "right"]].set_visible(False)
        save_figure(figure, paths, dpi=200)
    return list(paths)


def _draw_field(axis: Any, found: Found, method: str) -> None:
    """Contours of the likelihood, directions of the update, and the paths; arrows have equal length."""
    rows, optimum = found.grid, found.published["optimum"]
    fine = [-1.2 + 6.4 * i / 80 for i in range(81)]
    losses = [[_loss(found, slope, intercept) for slope in fine] for intercept in fine]
    least = min(map(min, losses))
    axis.contour(fine, fine, losses, [least + 4.0**power for power in range(-2, 4)], colors=GREY, linewidths=0.5, alpha=0.8)
    sides = []
    for part in ("slope", "intercept"):
        lengths = [math.hypot(row[f"{method}_slope"], row[f"{method}_intercept"]) for row in rows]
        sides.append([row[f"{method}_{part}"] / length for row, length in zip(rows, lengths, strict=True)])
    slopes, intercepts = column(rows, "slope"), column(rows, "intercept")
    axis.quiver(slopes, intercepts, *sides, angles="xy", scale=30, width=0.004, headwidth=4, headlength=4, color="#777777")
    for path in found.published["paths"]:
        if path["method"] == method:
            x, y = zip(*path["points"], strict=True)
            axis.plot(x, y, color=COLOURS[method], linewidth=2.2, solid_capstyle="round")
            axis.plot(x[:1], y[:1], "o", color="black", markersize=4)
    axis.plot(optimum[:1], optimum[1:], "*", color="black", markersize=10, zorder=5)
    axis.set(xlim=(-1.2, 5.2), ylim=(-1.2, 5.2), xlabel=r"slope $\theta_1$", ylabel=r"intercept $\theta_2$")
    axis.set_title(LABELS[method])
    axis.set_aspect("equal")


def _loss(found: Found, slope: float, intercept: float) -> float:
    """Of the likelihood, from the second moments."""
    u, second = (slope, intercept, -1.0), found.published["second"]
    return sum(u[i] * float(second[i][j]) * u[j] for i in range(3) for j in range(3)) / 2


def _draw_angles(axis: Any, found: Found) -> None:
    """The share of the grid whose update is off the direction of the optimum by no more than an angle."""
    for method in METHODS:
        angles = sorted(column(found.grid, f"{method}_angle"))
        shares = [(i + 1) / len(angles) for i in range(len(angles))]
        axis.step([0, *angles, 180], [0, *shares, 1], where="post", color=COLOURS[method], linewidth=1.6, label=LABELS[method])
    axis.axvline(90, color=GREY, linewidth=0.8, linestyle=":")
    axis.text(92, 0.3, "leads away", color="#555555")
    axis.set(
        xlim=(-3, 180), ylim=(0, 1.03), xlabel="angle to the direction of the optimum, degrees", ylabel="share of the grid"
    )
    axis.set_xticks([0, 45, 90, 135, 180])
    axis.legend(frameon=False, loc="lower right")


def _draw_convergence(axis: Any, found: Found) -> None:
    """Distance left by number of steps, for the four starts of each method."""
    for method in METHODS:
        for path in found.published["paths"]:
            if path["method"] == method:
                steps, left = zip(*path["distances"], strict=True)
                axis.plot([max(step, 1) for step in steps], left, color=COLOURS[method], linewidth=1.2)
    axis.axhline(1e-6, color=GREY, linewidth=0.8, linestyle=":")
    longest = max(path["distances"][-1][0] for path in found.published["paths"])
    axis.set(xscale="log", yscale="log", xlim=(100 * longest / 50000, 1.4 * longest), ylim=(1e-8, 10))
    axis.set(
        xlabel=f"steps of {found.published['step']:g}, times 1/3, 1, 3", ylabel=r"distance to the optimum $|\theta - \theta^*|$"
    )


def _draw_distances(axis: Any, found: Found) -> None:
    """Distance of the empirical Fisher from the Hessian over the grid, by distance from the optimum, and at the truth."""
    optimum = found.published["optimum"]
    away = [math.hypot(row["slope"] - optimum[0], row["intercept"] - optimum[1]) for row in found.grid]
    axis.plot(away, column(found.grid, "distance"), ".", color=COLOURS["empirical"], markersize=3.5, label="as it is")
    scaled = column(found.grid, "scaled_distance")
    axis.plot(away, scaled, "x", color="#CC79A7", markersize=3.5, markeredgewidth=0.8, label="times the best factor")
    for count, value in distances_by_count(found.samples, "truth").items():
        axis.axhline(value, color=GREY, linewidth=0.8, linestyle="--")
        label = f"truth, N = $10^{round(math.log10(count))}$"
        axis.annotate(label, (0.028, value), xytext=(0, 1.5), textcoords="offset points", color="#555555", fontsize=7.5)
    axis.set(xscale="log", yscale="log", xlim=(0.025, 6), ylim=(1e-3, 1000))
    axis.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    axis.minorticks_off()
    axis.set(xlabel=r"distance to the optimum $|\theta - \theta^*|$", ylabel=r"$|\hat F - H| \,/\, |H|$")
    axis.legend(frameon=False, loc="upper left")
