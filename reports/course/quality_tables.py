"""The rows of the experiment on quality: means over seeds and draws, rankings, and what predicts a good step."""

import statistics
from collections.abc import Sequence
from typing import Any

from fishergauge.reports.course.quality_measures import KLS, OTHER_DAMPINGS, damping_column, gain_column
from fishergauge.reports.experiment import Results
from fishergauge.reports.extras import require

Row = dict[str, Any]

GAIN = gain_column(KLS[0])
BEST_LOW = ("matrix_error", "shape_error", "step_error")
BEST_HIGH = ("cos_fisher", *(gain_column(kl) for kl in KLS))
DAMPED = ("first_order", *(damping_column(fraction) for fraction in OTHER_DAMPINGS))
MEASURES = ("matrix_error", "shape_error", "trace_ratio", "step_error", "cos_fisher", *DAMPED, *BEST_HIGH[1:])
EXACT = ("exact-fisher", "ggn")  # the yardstick itself


def table(results: Results, name: str = "rows", protocol: str = "corrected") -> list[Row]:
    """All rows of one table of the cells of one protocol."""
    return [row for cell, record in results if cell.protocol == protocol for row in record.get(name, [])]


def mean(numbers: Sequence[float | None]) -> float | None:
    """The mean of what there is; None where there is nothing."""
    found = [number for number in numbers if number is not None]
    return statistics.fmean(found) if found else None


def pooled(rows: Sequence[Row]) -> list[Row]:
    """Mean and standard deviation of each measure over seeds and draws, by network, point and approximation."""
    keys = list(dict.fromkeys((row["architecture"], row["point"], row["approximation"]) for row in rows))
    result = []
    for architecture, point, name in keys:
        own = select(rows, architecture=architecture, point=point, approximation=name)
        line: Row = {
            "architecture": architecture,
            "point": point,
            "approximation": name,
            "label": own[0]["label"],
            "of": len(own),
        }
        for measure in MEASURES:
            found = [row[measure] for row in own if row[measure] is not None]
            line[measure] = mean(found)
            line[f"{measure}_spread"] = statistics.stdev(found) if len(found) > 1 else 0.0
        result.append(line)
    return result


def select(rows: Sequence[Row], **where: Any) -> list[Row]:
    """The rows with the given values."""
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def ranked(lines: Sequence[Row]) -> dict[str, list[str]]:
    """For each measure the approximations from the best to the worst, by their mean over networks and points."""
    names = list(dict.fromkeys(line["approximation"] for line in lines))
    ranking = {}
    for measure in (*BEST_LOW, *BEST_HIGH):
        means = {name: mean([line[measure] for line in lines if line["approximation"] == name]) for name in names}
        known = {name: value for name, value in means.items() if value is not None}
        ranking[measure] = sorted(known, key=lambda name: known[name], reverse=measure in BEST_HIGH)
    return ranking


def predictions(rows: Sequence[Row]) -> list[Row]:
    """Spearman's correlation, over the approximations, of each measure with the gain at the smaller divergence.

    Signed so that one means: what is better by the measure gains more. The yardstick itself is left out.

    Returns:
        A row for each network and point, of means over seeds and draws.
    """
    lines = [line for line in pooled(rows) if line["approximation"] not in EXACT]
    spearman = require("scipy.stats").spearmanr
    result = []
    for architecture, point in dict.fromkeys((line["architecture"], line["point"]) for line in lines):
        own = [line for line in select(lines, architecture=architecture, point=point) if line[GAIN] is not None]
        line: Row = {"architecture": architecture, "point": point, "approximations": len(own)}
        for measure in ("matrix_error", "shape_error", "step_error", "cos_fisher"):
            signed = [row[measure] if measure in BEST_HIGH else -row[measure] for row in own]
            line[measure] = float(spearman(signed, [row[GAIN] for row in own]).statistic)
        result.append(line)
    return result
