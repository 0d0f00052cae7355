"""The figure of the experiment ``nonlinear``."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fishergauge.reports.experiment import Results
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.gauss_newton.nonlinear_field import grid_points
from fishergauge.reports.gauss_newton.relu_model import ReluMoments, relu_data
from fishergauge.reports.panels import draw_grid

NATURAL, GRADIENT, GREY, SAMPLED, LINEARISED = "#0072B2", "#D55E00", "#999999", "#CC79A7", "#009E73"


def draw_nonlinear(results: Results, out: Path) -> list[Path]:
    """Draw field and paths of the ReLU model, both predictive distributions of the network, and their calibration.

    Args:
        results: of the experiment.
        out: an existing folder.

    Returns:
        The paths of ``nonlinear_figure`` as PNG, PDF and SVG; none where there is nothing to draw.
    """
    by_study: dict[str, list[dict[str, Any]]] = {"field": [], "relu": [], "network": []}
    for cell, record in results:
        by_study[str(dict(cell.settings)["study"])].append(record)
    panels = []
    if by_study["field"]:
        panels.append(partial(_field, record=by_study["field"][0]))
    if by_study["network"]:
        panels += [
            partial(_bands, curves=by_study["network"][0]["curves"]),
            partial(_losses, records=by_study["network"]),
            partial(_coverage, records=by_study["network"]),
        ]
    return draw_grid(panels, figure_paths(out / "nonlinear_figure"))


def _field(axis: Any, record: dict[str, Any]) -> None:
    """Natural gradient on the grid, contours of the objective, and the paths of both methods."""
    moments, points = ReluMoments(relu_data(None)), grid_points()
    step = moments.natural_step(points)
    alive = moments.tangent(points).abs().sum(-1) > 0
    unit = step / step.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    fine = np.linspace(-1, 5, 121)
    values = moments.objective(grid_points().new_tensor(np.stack(np.meshgrid(fine, fine, indexing="ij"), -1)))
    axis.contour(fine, fine, values.T.numpy(), levels=[1, 5, 15, 40], colors=GREY, linewidths=0.5, alpha=0.7)
    axis.axhspan(-1, 0, color=GREY, alpha=0.2, linewidth=0, label="plateau")
    x, y, u, v = (t[alive].numpy() for t in (*points.T, *unit.T))
    axis.quiver(x, y, u, v, color=NATURAL, alpha=0.45, angles="xy", scale=24, width=0.004)
    hyperbola = np.linspace(record["valley"] / 5, 5, 100)
    axis.plot(hyperbola, record["valley"] / hyperbola, "--", color="black", linewidth=1, label="valley")
    for method, colour in (("gradient", GRADIENT), ("natural gradient", NATURAL)):
        for number, path in enumerate(record["paths"][method]):
            axis.plot(*np.array(path).T, color=colour, linewidth=1.8, label=method if number == 0 else None)
    axis.plot(*np.array([path[0] for path in record["paths"]["gradient"]]).T, "o", color="black", markersize=4)
    axis.set(xlim=(-1, 5), ylim=(-1, 6.9), xlabel="$\\theta_1$", ylabel="$\\theta_2$", aspect="equal")
    axis.legend(fontsize=8, loc="upper left", ncols=2, frameon=False)


def _bands(axis: Any, curves: dict[str, Any]) -> None:
    """Two deviations of the function, linearised and sampled, over the data."""
    x, fit = np.array(curves["x"]), np.array(curves["fit"])
    axis.plot(curves["inputs"], curves["targets"], ".", color=GREY, markersize=3, alpha=0.6)
    mean, spread = np.array(curves["sampled_mean"]), 2 * np.array(curves["sampled"])
    axis.fill_between(
        x, mean - spread, mean + spread, color=SAMPLED, alpha=0.25, linewidth=0, label="sampled, $\\pm 2$ deviations"
    )
    axis.plot(x, mean, color=SAMPLED, linewidth=1.5)
    spread = 2 * np.array(curves["linearised"])
    axis.fill_between(x, fit - spread, fit + spread, color=LINEARISED, alpha=0.6, linewidth=0, label="linearised, $\\pm 2$")
    axis.plot(x, fit, color="black", linewidth=1.2, label="fit")
    axis.set(xlabel="body mass index, standardised", ylabel="progression of diabetes", ylim=(-7, 9))
    axis.legend(fontsize=8, frameon=False, loc="upper left")


def _losses(axis: Any, records: Sequence[dict[str, Any]]) -> None:
    """Log loss on training and test data by the strength of the prior."""
    frame = _frame(records)
    for kind, colour in (("sampled", SAMPLED), ("linearised", LINEARISED)):
        for part, style in (("training", "o--"), ("test", "s-")):
            chosen = frame[(frame["predictive"] == kind) & (frame["part"] == part)].groupby("prior_multiple")["nll"]
            middle, spread = chosen.mean(), chosen.std().fillna(0)
            axis.errorbar(middle.index, middle, spread, fmt=style, color=colour, markersize=4, label=f"{kind}, {part}")
    axis.set(xscale="log", xlabel="prior precision over that of the evidence", ylabel="log loss a target (nats)")
    axis.legend(fontsize=8, frameon=False)


def _coverage(axis: Any, records: Sequence[dict[str, Any]]) -> None:
    """Coverage of central intervals for test data by the strength of the prior."""
    frame = _frame(records)
    frame = frame[frame["part"] == "test"]
    for kind, colour in (("sampled", SAMPLED), ("linearised", LINEARISED)):
        for level, style in ((50, "o-"), (95, "s--")):
            chosen = frame[frame["predictive"] == kind].groupby("prior_multiple")[f"coverage_{level}"]
            axis.errorbar(chosen.mean().index, chosen.mean(), chosen.std().fillna(0), fmt=style, color=colour, markersize=4,
                          label=f"{kind}, {level} %")  # fmt: skip
            axis.axhline(level / 100, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(xscale="log", ylim=(0.2, 1.03), xlabel="prior precision over that of the evidence", ylabel="coverage of test data")
    axis.legend(fontsize=8, frameon=False, loc="lower left")


def _frame(records: Sequence[dict[str, Any]]) -> Any:
    """All rows as a pandas data frame."""
    return require("pandas").DataFrame([row for record in records for row in record["rows"]])
