"""The tables of experiment E1."""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fishergauge.reports.experiment import Results
from fishergauge.suites.jsonable import jsonable

EPSILONS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
COLUMNS = (
    "seed epsilon method loss_before loss_after delta_loss kl_step kl_ratio eta cos_g_v true_kl true_kl_ratio kl_step_repaired"
)
GATE_COLUMNS = "seed gate_a_passed min_eigenvalue max_eigenvalue condition_number gate_a_passed_1e-8"


@dataclass(frozen=True, eq=False)
class Tables:
    """The results of E1 on one data set.

    Args:
        raw: as published, a row a step, columns as in the notebook and three more.
        gates: as published, a row a seed.
        drawn: like ``raw`` with the draws of the published run; None where there are none.
        corrected: at equal true divergence, a row a seed and divergence.
        limits: a row a seed: ``seed``, ``limit``, ``slope``.
        config: ``n_features`` and ``n_classes``.
    """

    raw: pd.DataFrame
    gates: pd.DataFrame
    drawn: pd.DataFrame | None
    corrected: pd.DataFrame
    limits: pd.DataFrame
    config: dict[str, int]

    @classmethod
    def of(cls, results: Results) -> "Tables | None":
        """Collect the records; None if a protocol is missing altogether."""
        rows: dict[str, list[dict[str, Any]]] = {"cpu": [], "cuda": [], "corrected": [], "gates": [], "limits": []}
        config: dict[str, int] = {}
        for cell, record in results:
            if cell.protocol == "published":
                draws = str(dict(cell.settings)["draws"])
                config = record["config"]
                rows[draws] += [{"seed": cell.seed, **row} for row in record["rows"]]
                if draws == "cpu":
                    gate = {"seed": cell.seed, **record["gate"]}
                    if gate["condition_number"] is None:  # infinite: JSON has no such number
                        gate["condition_number"] = float("inf")
                    rows["gates"].append(gate)
            elif cell.protocol == "corrected":
                rows["corrected"] += [{"seed": cell.seed, **row} for row in record["rows"]]
                rows["limits"].append({"seed": cell.seed, "limit": record["limit"], "slope": record["slope"]})
        if not rows["cpu"] or not rows["corrected"]:
            return None
        frames = {name: pd.DataFrame(part) for name, part in rows.items()}
        return cls(
            frames["cpu"][COLUMNS.split()],
            frames["gates"][GATE_COLUMNS.split()],
            frames["cuda"][COLUMNS.split()] if rows["cuda"] else None,
            frames["corrected"],
            frames["limits"],
            config,
        )

    def advantages(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The paper's relative advantage in percent by divergence: ratio of the mean loss reductions."""
        means = frame.pivot_table(index="epsilon", columns="method", values="delta_loss", aggfunc="mean")
        return np.asarray((means["natgrad"] / means["sgd"] - 1) * 100, dtype=np.float64)

    def true_kl(self, frame: pd.DataFrame) -> pd.DataFrame:
        """True KL over the one asked for, mean over the seeds: rows divergences, columns methods."""
        table: pd.DataFrame = frame.pivot_table(index="epsilon", columns="method", values="true_kl_ratio", aggfunc="mean")
        return table

    def corrected_by_epsilon(self) -> pd.DataFrame:
        """Mean, spread and extremes of the advantage in percent over the seeds, and the ratio of mean loss reductions."""
        groups = self.corrected.groupby("epsilon")
        table: pd.DataFrame = groups["advantage"].agg(["mean", "std", "min", "max", "count"])
        table[["mean", "std", "min", "max"]] *= 100
        means = groups[["delta_loss_natgrad", "delta_loss_sgd"]].mean()
        table["of_means"] = (means["delta_loss_natgrad"] / means["delta_loss_sgd"] - 1) * 100
        return table


def aggregated(raw: pd.DataFrame) -> pd.DataFrame:
    """The notebook's table by divergence and method, with the true divergence beside the reported one."""
    names = ["delta_loss", "kl_step", "kl_ratio", "true_kl", "true_kl_ratio"]
    table: pd.DataFrame = raw.groupby(["epsilon", "method"])[names].agg(["mean", "std"])
    table.columns = pd.Index([f"{name}_{statistic}" for name in names for statistic in ("mean", "std")])
    flat: pd.DataFrame = table.reset_index()
    return flat


def write_tables(tables: Tables, out: Path) -> list[Path]:
    """Write all tables and the summary.

    Args:
        tables: of one data set.
        out: an existing folder.

    Returns:
        The paths.
    """
    frames = {
        "E1_results_raw.csv": tables.raw,
        "E1_results_aggregated.csv": aggregated(tables.raw),
        "E1_gate_validation.csv": tables.gates,
        "E1_corrected.csv": tables.corrected,
        "E1_corrected_aggregated.csv": tables.corrected_by_epsilon().reset_index(),
        "E1_corrected_limits.csv": tables.limits,
    }
    if tables.drawn is not None:
        frames["E1_published_draws_aggregated.csv"] = aggregated(tables.drawn)
    for name, frame in frames.items():
        frame.to_csv(out / name, index=False)
    advantages = tables.advantages(tables.raw)
    limit = float(tables.limits["limit"].mean()) * 100
    summary = {
        "experiment": "E1",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "config": {
            **tables.config,
            "use_bias": False,
            "epsilon_values": list(EPSILONS),
            "n_seeds": int(tables.raw["seed"].nunique()),
        },
        "gate_a_pass_rate": float(tables.gates["gate_a_passed"].mean()),
        "mean_relative_advantage_pct": float(advantages.mean()),
        "min_advantage_pct": float(advantages.min()),
        "max_advantage_pct": float(advantages.max()),
        "corrected_advantage_pct": tables.corrected_by_epsilon()["of_means"].to_dict(),
        "small_step_limit_pct": limit,
    }
    if tables.drawn is not None:
        summary["published_draws_mean_advantage_pct"] = float(tables.advantages(tables.drawn).mean())
    path = out / "E1_summary.json"
    path.write_text(json.dumps(jsonable(summary), indent=2) + "\n", encoding="utf-8")
    return [*(out / name for name in frames), path]
