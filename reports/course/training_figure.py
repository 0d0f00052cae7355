"""The figure of the experiment ``training``."""

from functools import partial
from pathlib import Path
from typing import Any

from fishergauge.reports.course.training_claims import NAMES, compared_of
from fishergauge.reports.course.training_runs import METHODS, MODELS
from fishergauge.reports.course.training_tables import TUNED_BY
from fishergauge.reports.experiment import Results
from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.panels import COLOURS, draw_grid

COLOUR = dict(zip(METHODS, (COLOURS[1], COLOURS[2], COLOURS[0]), strict=True))
NETWORK = {"mlp": "perceptron", "cnn": "convolutional network"}


def draw_training(results: Results, out: Path) -> list[Path]:
    """Draw the training loss of the tuned methods by epoch and by wall time, and the test loss, network by network.

    Args:
        results: of the experiment.
        out: an existing folder.

    Returns:
        The paths of ``training_figure`` as PNG, PDF and SVG.
    """
    pandas = require("pandas")
    runs = pandas.DataFrame([row for cell, record in results if cell.protocol != "timed" for row in record["rows"]])
    seconds = {
        (row["model"], row["method"]): row["step_seconds"]
        for cell, record in results
        if cell.protocol == "timed"
        for row in record["rows"]
    }
    compared = pandas.DataFrame(compared_of(results))
    panels = []
    for model in MODELS:
        if len(compared) and (compared["model"] == model).any():
            mine = compared[compared["model"] == model]
            frame = runs[runs["model"] == model].copy()
            frame["seconds"] = frame["step"] * frame["method"].map({m: s for (name, m), s in seconds.items() if name == model})
            panels += [
                partial(
                    _curves,
                    runs=frame,
                    chosen=mine[(mine["criterion"] == criterion) & (mine["tuned_by"] == TUNED_BY[score])],
                    of=of,
                    score=score,
                    model=model,
                )
                for criterion, of, score in (
                    ("equal epochs", "epoch", "training_loss"),
                    ("equal time", "seconds", "training_loss"),
                    ("equal epochs", "epoch", "test_loss"),
                )
            ]
    return draw_grid(panels, figure_paths(out / "training_figure"), columns=3)


def _curves(axis: Any, runs: Any, chosen: Any, of: str, score: str, model: str) -> None:
    """The tuned runs of one criterion, each seed a thin line, and their median."""
    limit = float(chosen["limit"].iloc[0])
    for method in METHODS:
        point = chosen[chosen["method"] == method]
        if not len(point):
            continue
        rate, second = point["rate"].iloc[0], point["second"].iloc[0]
        part = runs[(runs["method"] == method) & (runs["rate"] == rate) & (runs["second"] == second)]
        part = part[(part[of] <= limit * 1.0001) & part["seed"].isin(point["seed"])]
        for _, run in part.groupby("seed"):
            axis.plot(run[of], run[score], color=COLOUR[method], linewidth=0.7, alpha=0.4)
        middle = part.groupby("step").agg({of: "first", score: "median"})
        axis.plot(middle[of], middle[score], color=COLOUR[method], linewidth=1.8, label=f"{NAMES[method]}, rate {rate:g}")
    what = score.replace("_", " ")
    axis.set(yscale="log", xlabel="epochs" if of == "epoch" else "seconds of steps", ylabel=what)
    axis.set_title(NETWORK[model])
    axis.legend(fontsize=8, frameon=False)
