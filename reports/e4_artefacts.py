"""The files of E3 and E4, with the notebooks' names, columns and keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.e4_figure import draw_invariance
from fishergauge.reports.e4_measurements import ETA, PUBLISHED_METHODS, RCOND
from fishergauge.reports.e4_tables import Row, gathered, largest, mean_and_spread, values
from fishergauge.reports.experiment import Results
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.tables import write_csv, write_json

COLUMNS = ("seed", "kappa", "method", "max_diff")
METHODS = {"E3": ("exact", "sgd"), "E4": ("exact", "kfac", "empirical", "diagonal", "sgd")}


def write_artefacts(name: str, title: str, results: Results, out: Path) -> list[Path]:
    """Write results, summaries and figures of E3 or E4.

    Args:
        name: ``"E3"`` or ``"E4"``.
        title: of the experiment.
        results: cells of one data set with their records.
        out: an existing folder.

    Returns:
        The files written; none where no cell of either protocol has finished.
    """
    rows, corrected = gathered(results, "published"), gathered(results, "corrected")
    corrected = [row for row in corrected if row["method"] in METHODS[name]]
    paths = []
    if rows:
        published = _as_published(name, rows)
        paths.append(write_csv(published, out / f"{name}_results.csv", COLUMNS))
        summary = _summary_e3(published, results) if name == "E3" else _summary_e4(title, published, results)
        paths.append(write_json(summary, out / f"{name}_summary.json"))
    if corrected:
        paths.append(write_csv(corrected, out / f"{name}_results_corrected.csv"))
        paths.append(write_json(_corrected_summary(name, corrected), out / f"{name}_summary_corrected.json"))
    if rows and name == "E4":
        for table, study in (("gate_a", None), ("gate_c", None), ("rows", "order")):
            found = gathered(results, "published", study, table)
            paths.append(write_csv(found, out / f"E4_{study or table}.csv")) if found else None
        placeholders = [row for row in rows if row["method"] not in PUBLISHED_METHODS]
        paths.append(write_csv(placeholders, out / "E4_placeholders.csv"))
        cutoffs = gathered(results, "corrected", "cutoff")
        paths.append(write_csv(cutoffs, out / "E4_cutoff_corrected.csv")) if cutoffs else None
    if rows and corrected:
        figures = figure_paths(out / f"{name}_figure")
        keep = rows if name == "E4" else [row for row in rows if row["method"] in METHODS["E3"]]
        draw_invariance(keep, corrected, METHODS[name], figures)
        paths += figures
    return paths


def _as_published(name: str, rows: Sequence[Row]) -> list[Row]:
    """The rows of the notebook's methods with whole kappas; E3 calls the exact Fisher's step natgrad."""
    order = PUBLISHED_METHODS if name == "E4" else ("exact", "sgd")
    kept = [{**row, "kappa": int(row["kappa"])} for row in rows if row["method"] in order]
    if name == "E3":
        kept = [{**row, "method": "natgrad" if row["method"] == "exact" else row["method"]} for row in kept]
        kept.sort(key=lambda row: (row["seed"], row["kappa"]))
    return kept


def _config(results: Results, rows: Sequence[Row]) -> dict[str, Any]:
    seeds = {cell.seed for cell, _ in results if cell.protocol == "published" and "study" not in dict(cell.settings)}
    return {"kappa_values": [1, *sorted({row["kappa"] for row in rows})], "n_seeds": len(seeds), "eta": ETA, "rcond": RCOND}


def _summary_e3(rows: Sequence[Row], results: Results) -> dict[str, Any]:
    def by_kappa(method: str) -> dict[str, float]:
        kappas = sorted({row["kappa"] for row in rows})
        return {f"kappa_{kappa}": mean_and_spread(values(rows, "max_diff", method=method, kappa=kappa))[0] for kappa in kappas}

    natural, sgd = by_kappa("natgrad"), by_kappa("sgd")
    return {
        "experiment": "E3",
        "config": _config(results, rows),
        "ng_consistency": natural,
        "sgd_degradation": sgd,
        "ratio_at_1000": sgd["kappa_1000"] / natural["kappa_1000"],
    }


def _summary_e4(title: str, rows: Sequence[Row], results: Results) -> dict[str, Any]:
    top = max(values(rows, "kappa"))
    means = {method: mean_and_spread(values(rows, "max_diff", method=method, kappa=top))[0] for method in PUBLISHED_METHODS}
    names = {"exact": "exact_ng", "kfac": "kfac_ng", "empirical": "empirical_ng", "sgd": "sgd"}
    return {
        "experiment": "E4",
        "title": title,
        "config": _config(results, rows),
        "methods": list(PUBLISHED_METHODS),
        f"results_at_kappa_{top}": {names[method]: means[method] for method in names},
        "ratios_vs_exact": {f"{method}_vs_exact": means[method] / means["exact"] for method in ("kfac", "empirical", "sgd")},
        "invariance_ranking": sorted(names, key=lambda method: means[method]),
    }


def _corrected_summary(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """For each method and family: the largest deviation, its slack, and how many cells hold."""
    summary: dict[str, Any] = {
        "experiment": name,
        "protocol": "every approximation computed anew from the reparametrised model",
    }
    for method in METHODS[name]:
        for family in ("scaling", "rotated"):
            own = [row for row in rows if row["method"] == method and row["family"] == family]
            decided = [row for row in own if row["status"] != "beyond float64"]
            summary[f"{method}_{family}"] = {
                "cells": len(own),
                "holds": sum(row["status"] == "holds" for row in own),
                "violated": sum(row["status"] == "violated" for row in own),
                "beyond_float64": len(own) - len(decided),
                "largest_relative_deviation": largest(decided, lambda row: row["relative"]),
                "largest_slack": largest(decided, lambda row: row["slack"]),
            }
    return summary
