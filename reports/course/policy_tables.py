"""The runs of experiment policy, one row each, and the best size of each method."""

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any

Row = dict[str, Any]
GOALS = (195, 475)
"""Average returns at which CartPole counts as solved: of its versions 0 and 1."""


def run_rows(rows: Sequence[Row]) -> list[Row]:
    """A row a run: its average return over the whole of learning and at the end, and the steps to each goal.

    Steps are those at the first evaluation that reaches the goal; NaN where none does.
    """
    found = []
    for method, size, seed in dict.fromkeys((row["method"], row["size"], row["seed"]) for row in rows):
        own = [row for row in rows if (row["method"], row["size"], row["seed"]) == (method, size, seed)]
        evaluated = [(row["steps"], row["mean_return"]) for row in own if row.get("mean_return") is not None]
        run: Row = {"method": method, "size": size, "seed": seed}
        run["mean_return"] = mean(value for _, value in evaluated)
        run["final_return"] = evaluated[-1][1]
        for goal in GOALS:
            run[f"steps_to_{goal}"] = next((steps for steps, value in evaluated if value >= goal), math.nan)
        found.append(run)
    return found


def best_sizes(runs: Sequence[Row]) -> dict[str, float]:
    """For each method the size whose average return over learning, averaged over the seeds, is the highest."""
    methods = dict.fromkeys(run["method"] for run in runs)
    return {method: max(_sizes(runs, method), key=lambda size: mean(_returns(runs, method, size))) for method in methods}


def best_runs(runs: Sequence[Row]) -> dict[str, list[Row]]:
    """The runs of each method at its best size, by seed."""
    best = best_sizes(runs)
    return {
        method: sorted(
            (run for run in runs if (run["method"], run["size"]) == (method, size)), key=lambda run: int(run["seed"])
        )
        for method, size in best.items()
    }


def _sizes(runs: Sequence[Row], method: str) -> list[float]:
    return sorted({run["size"] for run in runs if run["method"] == method})


def _returns(runs: Sequence[Row], method: str, size: float) -> list[float]:
    return [run["mean_return"] for run in runs if (run["method"], run["size"]) == (method, size)]
