"""The times of the routes to the Jacobian, gathered, and the published ones."""

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from fishergauge.reports.experiment import Results

Row = dict[str, Any]
PUBLISHED: Mapping[str, float] = {"analytic": 8.2e-6, "torch loop": 6.1e-2, "torch.func": 2.1e-3}  # seconds
PUBLISHED_SAMPLES = 1000
OURS = ("torch.func by sample", "reference", "layers")


def rows_of(results: Results) -> list[Row]:
    """All rows of all cells."""
    return [row for _, record in results for row in record["rows"]]


def times(
    rows: Iterable[Row], model: str, samples: int, quantity: str = "jacobian", column: str = "seconds"
) -> dict[str, float]:
    """Median seconds by route of one model, number of samples and quantity; empty where it was not measured."""
    wanted = {"model": model, "samples": samples, "quantity": quantity}
    return {row["route"]: row[column] for row in rows if all(row[name] == value for name, value in wanted.items())}


def ratios(by_route: Mapping[str, float], reference: str = "analytic") -> dict[str, float]:
    """Times in units of one route's."""
    return {route: value / by_route[reference] for route, value in by_route.items()}


def growth(rows: Iterable[Row], model: str, route: str) -> float:
    """The exponent with which the time grows between the two largest numbers of samples; NaN where there is one."""
    found = sorted(
        (row["samples"], row["seconds"])
        for row in rows
        if row["model"] == model and row["route"] == route and row["quantity"] == "jacobian"
    )
    if len(found) < 2:
        return math.nan
    (fewer, faster), (more, slower) = found[-2:]
    return math.log(slower / faster) / math.log(more / fewer)


def summary_of(rows: list[Row]) -> dict[str, Any]:
    """Times and ratios by model, number of samples and quantity, and the published ones."""
    groups = list(dict.fromkeys((row["model"], row["samples"], row["quantity"]) for row in rows))
    summary: dict[str, Any] = {"published": {"seconds": dict(PUBLISHED), "ratios": ratios(PUBLISHED)}}
    for model, samples, quantity in groups:
        found = times(rows, model, samples, quantity)
        summary[f"{model}, {samples} samples, {quantity}"] = {"seconds": found, "ratios": ratios(found)}
    summary["largest deviation"] = max((row["deviation"] for row in rows), default=None)
    summary["median number of stretches"] = statistics.median(row["stretches"] for row in rows) if rows else None
    return summary
