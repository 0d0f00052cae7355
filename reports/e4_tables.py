"""The rows of E3 and E4, gathered from the records of their cells."""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from fishergauge.reports.experiment import Results

Row = dict[str, Any]


def gathered(results: Results, protocol: str, study: str | None = None, table: str = "rows") -> list[Row]:
    """All rows of one table of the cells of one protocol and study, in the order of the cells.

    Args:
        results: cells with their records.
        protocol: ``"baseline"``, ``"published"`` or ``"corrected"``.
        study: ``"order"`` or ``"cutoff"``; None stands for the main cells.
        table: key of the record.
    """
    return [
        row
        for cell, record in results
        if cell.protocol == protocol and dict(cell.settings).get("study") == study
        for row in record.get(table, [])
    ]


def values(rows: Iterable[Row], column: str, **where: Any) -> list[float]:
    """One column of the rows that match, without nulls."""
    return [row[column] for row in rows if row[column] is not None and all(row[name] == value for name, value in where.items())]


def mean_and_spread(numbers: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is zero for one number."""
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def largest(rows: Iterable[Row], key: Callable[[Row], float]) -> float:
    """The maximum of a quantity, zero for no rows."""
    return max((key(row) for row in rows), default=0.0)
