"""The rows of the experiment on efficiency: exponents of growth, beside those of theory."""

from collections.abc import Sequence
from typing import Any

from fishergauge.reports.course.growth import exponent
from fishergauge.reports.experiment import Results

Row = dict[str, Any]

LARGEST = 3  # widths that an exponent is fitted to: terms of lower order have faded there


def table(results: Results) -> list[Row]:
    """All rows, in the order of the cells."""
    return [row for _, record in results for row in record["rows"]]


def select(rows: Sequence[Row], **where: Any) -> list[Row]:
    """The rows with the given values, by size."""
    return sorted((row for row in rows if all(row[name] == value for name, value in where.items())), key=lambda row: row["P"])


def fitted(rows: Sequence[Row], name: str, stage: str, column: str) -> float:
    """The exponent in P of a column of one approximation and stage, at the largest sizes; NaN where nothing grows."""
    own = [row for row in select(rows, approximation=name, stage=stage) if row[column] is not None][-LARGEST:]
    return exponent([row["P"] for row in own], [row[column] for row in own])


def exponents(rows: Sequence[Row]) -> list[Row]:
    """For each approximation and stage the exponents of operations, of theory, of time and of memory."""
    found = []
    for name in dict.fromkeys(row["approximation"] for row in rows):
        for stage in dict.fromkeys(row["stage"] for row in rows):
            own = select(rows, approximation=name, stage=stage)
            line: Row = {"approximation": name, "label": own[0]["label"], "stage": stage, "largest_P": own[-1]["P"]}
            for column in ("flops", "theory", "seconds", "peak_bytes", "numbers"):
                line[column] = fitted(rows, name, stage, column)
            found.append(line)
    return found


def total(
    rows: Sequence[Row], name: str, width: int, column: str = "flops", stages: Sequence[str] = ("form", "solve")
) -> float:
    """A column summed over stages at one width."""
    return float(
        sum(row[column] for row in rows if row["approximation"] == name and row["width"] == width and row["stage"] in stages)
    )


def common_widths(rows: Sequence[Row], *names: str) -> list[int]:
    """The widths at which all these approximations were measured, in order."""
    sets = [{row["width"] for row in rows if row["approximation"] == name} for name in names]
    return sorted(set.intersection(*sets)) if sets else []
