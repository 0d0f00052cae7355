"""The figure of the experiment on invariance of training curves."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import COLOURS, GREY, draw_grid

Row = dict[str, Any]
METHODS = {
    "exact": ("natural gradient", COLOURS[0], "o"),
    "kfac": ("K-FAC", COLOURS[2], "D"),
    "diagonal": ("diagonal of the Fisher", COLOURS[4], "^"),
    "sgd": ("gradient descent", COLOURS[1], "s"),
    "adam": ("Adam", COLOURS[3], "v"),
}
FLOOR, CEILING = 1e-17, 1e2


def draw_parametrisation(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw curves in several coordinates, deviations by map, deviations by step, and deviations by damping.

    Args:
        rows: of all studies.
        out: an existing folder.

    Returns:
        The paths of ``parametrisation_figure`` as PNG, PDF and SVG.
    """
    study = {name: [row for row in rows if row["study"] == name] for name in ("linear", "smooth", "damped")}
    panels = []
    if study["linear"]:
        panels += [partial(_curves, rows=study["linear"]), partial(_maps, rows=study["linear"])]
    if study["smooth"]:
        panels.append(partial(_steps, rows=study["smooth"]))
    if study["damped"]:
        panels.append(partial(_dampings, rows=study["damped"]))
    return draw_grid(panels, figure_paths(out / "parametrisation_figure"))


def _curves(axis: Any, rows: Sequence[Row]) -> None:
    """Training curves in the original coordinates and under affine maps, without the worst conditioned one, which explodes."""
    kappas = sorted({row["kappa"] for row in rows if row["family"] == "affine"})
    kappas = kappas[:-1] or kappas
    for method, (label, colour, _) in METHODS.items():
        part = [row for row in rows if row["method"] == method and row["family"] == "affine" and row["seed"] == 0]
        if not part:
            continue
        axis.plot(part[0]["reference_losses"], "-", color=colour, linewidth=2, label=label)
        for row in (row for row in part if row["kappa"] in kappas):
            losses = [loss if loss is not None else math.nan for loss in row["losses"]]
            axis.plot(losses, ":", color=colour, linewidth=1.8)
    start = rows[0]["reference_losses"][0]
    axis.plot([], [], "-", color=GREY, linewidth=2, label="original coordinates")
    axis.plot(
        [], [], ":", color=GREY, linewidth=1.8, label=f"affine maps, $\\kappa$ = {', '.join(f'{kappa:g}' for kappa in kappas)}"
    )
    axis.set(xlabel="steps", ylabel="training loss", ylim=(0.85 * start, 1.1 * start))
    axis.set_title("training curves")
    axis.legend(fontsize=8.5, frameon=False, loc="upper right", ncols=2)


def _maps(axis: Any, rows: Sequence[Row]) -> None:
    """Deviation of the outputs under every linear map, against its condition number."""
    families = list(dict.fromkeys(row["family"] for row in rows))
    kappas = sorted({row["kappa"] for row in rows})
    for method, (label, colour, marker) in METHODS.items():
        part = [row for row in rows if row["method"] == method]
        places = [families.index(row["family"]) + 0.22 * (kappas.index(row["kappa"]) - (len(kappas) - 1) / 2) for row in part]
        values = [min(CEILING, max(FLOOR, math.inf if row["deviation"] is None else row["deviation"])) for row in part]
        axis.plot(places, values, marker, color=colour, markersize=5, alpha=0.85, label=label)
    exact = [row for row in rows if row["method"] == "exact"]
    places = [families.index(row["family"]) + 0.22 * (kappas.index(row["kappa"]) - (len(kappas) - 1) / 2) for row in exact]
    axis.plot(places, [row["bound"] for row in exact], "_", color="black", markersize=9, label="bound, natural")
    axis.set(yscale="log", ylabel="deviation of the outputs / their range", ylim=(1e-17, 1e8))
    axis.set_xticks(range(len(families)), [family.replace("-", "\n") for family in families], fontsize=9)
    axis.set_xlabel(f"of condition numbers {', '.join(f'{kappa:g}' for kappa in kappas)}, from left to right")
    axis.set_title("linear maps")
    axis.legend(fontsize=8.5, frameon=False, loc="upper left", ncols=3, columnspacing=1)


def _steps(axis: Any, rows: Sequence[Row]) -> None:
    """Deviation of the outputs at the same times against the length of the steps."""
    for (family, style), method in ((pair, method) for pair in _styles(rows).items() for method in ("exact", "sgd")):
        _, colour, marker = METHODS[method]
        label = "natural" if method == "exact" else "descent"
        part = [row for row in rows if row["family"] == family and row["method"] == method and row["seed"] == 0]
        part = sorted(part, key=lambda row: float(row["length"]))
        if not part or any(row["deviation"] is None for row in part):
            continue
        left = "" if all(row["within_chart"] for row in part) else " (left)"
        lengths, values = [row["length"] for row in part], [row["deviation"] for row in part]
        axis.plot(lengths, values, marker + style, color=colour, markersize=5, linewidth=1.4, label=f"{label}, {family}{left}")
    axis.plot([0.025, 0.2], [3e-4, 2.4e-3], "-", color="black", linewidth=1, label="in proportion to the step")
    axis.set(
        xscale="log", yscale="log", xlabel="length of the steps, at equal time", ylabel="deviation of the outputs / their range"
    )
    ticks = sorted({row["length"] for row in rows})
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=9)
    axis.set_xticks([], minor=True)
    axis.set_ylim(1e-4, 1e2)
    axis.set_title("smooth maps (left: the path leaves their range)")
    axis.legend(fontsize=8.5, frameon=False, loc="upper left", ncols=2)


def _styles(rows: Sequence[Row]) -> dict[str, str]:
    families = dict.fromkeys(row["family"] for row in rows)
    return dict(zip(families, ("-", "--", ":"), strict=False))


def _dampings(axis: Any, rows: Sequence[Row]) -> None:
    """Deviation of the outputs against the damping."""
    for seed in sorted({row["seed"] for row in rows}):
        part = sorted((row for row in rows if row["seed"] == seed), key=lambda row: float(row["damping"]))
        dampings = [row["damping"] for row in part]
        axis.plot(dampings, [row["deviation"] for row in part], "o-", color=COLOURS[seed % len(COLOURS)], label=f"seed {seed}")
    first = min(rows, key=lambda row: float(row["damping"]))
    ends = [first["damping"], 1e-2]
    axis.plot(
        ends,
        [first["deviation"] * end / first["damping"] for end in ends],
        "--",
        color=GREY,
        label="in proportion to $\\lambda$",
    )
    axis.set(xscale="log", yscale="log", ylabel="deviation of the outputs / their range")
    axis.set_xlabel("$\\lambda$ / mean eigenvalue of the Fisher")
    axis.set_title("damped natural gradient, affine maps")
    axis.legend(fontsize=8.5, frameon=False, loc="upper left")
