"""The tables of experiment E2."""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fishergauge.reports.experiment import Results
from fishergauge.suites.jsonable import jsonable

EPSILONS = (1e-4, 3e-4, 1e-3)
STEPS = (10, 30, 100)
"""Numbers of steps after which the methods are compared: budgets of so many times epsilon."""
SUMMARY = "method epsilon seed final_loss final_accuracy mean_kl_ratio std_kl_ratio mean_corrections"
EXTRA = "final_accuracy_fair train_accuracy gate_b_fraction"


@dataclass(frozen=True, eq=False)
class Runs:
    """The results of E2 on one data set.

    Args:
        published: a row a run, as published.
        drawn: the same with the draws of the published run; None where there are none.
        corrected: a row a run and step.
        test_set: a row a seed, what the published test set measures; empty where there is none.
        gate_a: the fraction of seeds whose Fisher passed Gate A.
        kl_error: the largest relative error of a matched divergence.
        config: ``n_features``, ``n_classes``, ``n_epochs``, ``n_seeds``.
    """

    published: pd.DataFrame
    drawn: pd.DataFrame | None
    corrected: pd.DataFrame
    test_set: pd.DataFrame
    gate_a: float
    kl_error: float
    config: dict[str, Any]

    @classmethod
    def of(cls, results: Results) -> "Runs | None":
        """Collect the records; None if a protocol is missing altogether."""
        rows: dict[str, list[dict[str, Any]]] = {"cpu": [], "cuda": [], "corrected": [], "test_set": []}
        gates, errors, config = [], [], {}
        for cell, record in results:
            draws = str(dict(cell.settings).get("draws", cell.protocol))
            rows[draws] += [{"seed": cell.seed, **row} for row in record["rows"]]
            if draws == "cpu":
                gates.append(bool(record["gate_a_passed"]))
                config = {**record["config"], "n_epochs": dict(cell.settings)["epochs"]}
                rows["test_set"] += [{"seed": cell.seed, **record["test_set"]}] if "test_set" in record else []
            if cell.protocol == "corrected":
                errors.append(float(record["kl_error"]))
        if not rows["cpu"] or not rows["corrected"]:
            return None
        config["n_seeds"] = len(gates)
        order = [*SUMMARY.split(), *EXTRA.split()]
        published, drawn = (pd.DataFrame(rows[name], columns=order) for name in ("cpu", "cuda"))
        keys = ["epsilon", "method", "seed"]
        return cls(
            published.sort_values(keys, ascending=[True, False, True], ignore_index=True),
            drawn.sort_values(keys, ascending=[True, False, True], ignore_index=True) if len(drawn) else None,
            pd.DataFrame(rows["corrected"]),
            pd.DataFrame(rows["test_set"]),
            float(np.mean(gates)),
            max(errors),
            config,
        )

    def comparison(self) -> pd.DataFrame:
        """SGD against the natural gradient at equal budgets, paired over the seeds.

        Returns:
            A row an epsilon and number of steps: ``budget``; means of both losses and accuracies; mean and standard
            deviation of the paired differences (positive: the natural gradient is better); Student's ``t``; ``seeds``.
        """
        wide = self.corrected.pivot_table(
            index=["epsilon", "step", "seed"], columns="method", values=["loss", "accuracy"]
        ).dropna()
        rows: list[dict[str, Any]] = []
        for (epsilon, step), part in wide.groupby(["epsilon", "step"]):
            if step not in STEPS and step != self.config["n_epochs"]:
                continue
            gain = part["loss"]["sgd"] - part["loss"]["natgrad"]
            row = {"epsilon": epsilon, "steps": step, "budget": epsilon * step, "seeds": len(gain)}
            row |= {f"{name}_{m}": part[name][m].mean() for name in ("loss", "accuracy") for m in ("sgd", "natgrad")}
            row |= {"gain_mean": gain.mean(), "gain_std": gain.std(), "t": student(gain.to_numpy())}
            better = part["accuracy"]["natgrad"] - part["accuracy"]["sgd"]
            rows.append(row | {"accuracy_gain_mean": better.mean(), "accuracy_gain_std": better.std()})
        table: pd.DataFrame = pd.DataFrame(rows)
        return table

    def budget_ratios(self) -> pd.DataFrame:
        """KL that the natural gradient needs over that of SGD for half of the reduction that SGD reaches: a row a run."""
        rows: list[dict[str, Any]] = []
        for (epsilon, seed), part in self.corrected.groupby(["epsilon", "seed"]):
            losses = part.pivot_table(index="step", columns="method", values="loss")
            goal = (losses["sgd"].iloc[0] + losses["sgd"].min()) / 2
            needed = {m: crossing(losses[m].to_numpy(), goal) for m in ("sgd", "natgrad")}
            rows.append({"epsilon": epsilon, "seed": seed, "loss": goal, "ratio": needed["natgrad"] / needed["sgd"]})
        table: pd.DataFrame = pd.DataFrame(rows)
        return table


def student(differences: Any) -> float:
    """Student's t of paired differences, mean over standard error; NaN for fewer than two.

    Example:
        >>> round(student(np.array([1.0, 2.0, 3.0])), 3)
        3.464
    """
    if len(differences) < 2:
        return float("nan")
    error = float(np.std(differences, ddof=1)) / len(differences) ** 0.5
    return float(np.mean(differences)) / error if error > 0 else float(np.sign(np.mean(differences)) * np.inf)


def crossing(losses: Any, goal: float) -> float:
    """The number of steps, interpolated, after which losses first fall to ``goal``; NaN if they never do.

    Example:
        >>> crossing(np.array([4.0, 2.0, 1.0]), 3.0)
        0.5
    """
    below = np.nonzero(losses <= goal)[0]
    if len(below) == 0:
        return float("nan")
    k = int(below[0])
    return 0.0 if k == 0 else float(k - 1 + (losses[k - 1] - goal) / (losses[k - 1] - losses[k]))


def write_tables(runs: Runs, out: Path) -> list[Path]:
    """Write all tables and the metadata, with the published columns and keys; return the paths."""
    frames = {
        "E2_results_summary.csv": runs.published,
        "E2_corrected.csv": runs.corrected,
        "E2_corrected_budgets.csv": runs.comparison(),
        "E2_corrected_budget_ratios.csv": runs.budget_ratios(),
    }
    if runs.drawn is not None:
        frames["E2_published_draws_summary.csv"] = runs.drawn
    if len(runs.test_set):
        frames["E2_test_set.csv"] = runs.test_set
    for name, frame in frames.items():
        frame.to_csv(out / name, index=False)
    accuracies = runs.published.groupby("method")["final_accuracy"].mean()
    metadata = {
        "experiment": "E2",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "config": {**runs.config, "epsilon_values": list(EPSILONS), "methods": ["sgd", "natgrad"]},
        "gate_summary": {
            "gate_a_pass_rate": runs.gate_a,
            "gate_b_pass_rate": float(runs.published["gate_b_fraction"].mean()),
            "mean_kl_ratio": float(runs.published["mean_kl_ratio"].mean()),
        },
        "performance_summary": {"sgd_mean_accuracy": accuracies["sgd"], "ng_mean_accuracy": accuracies["natgrad"]},
    }
    path = out / "E2_metadata.json"
    path.write_text(json.dumps(jsonable(metadata), indent=2) + "\n", encoding="utf-8")
    return [*(out / name for name in frames), path]
