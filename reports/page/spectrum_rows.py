"""The rows of a spectrum, read again from ``spectrum.json``."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from fishergauge.reports.page.json_artefact import listed, mapping

if TYPE_CHECKING:
    from fishergauge.suites.spectrum.row import Row

_WORDS = ("approximation", "model", "data", "dtype", "family", "measure", "predicted", "source", "verdict", "reason")
_NUMBERS = ("kappa", "measured", "bound", "rank", "condition", "cut")


def read_rows(content: Mapping[str, Any]) -> "tuple[list[Row], int]":
    """The rows of a spectrum, and how many cannot be read.

    Args:
        content: of ``spectrum.json``.

    Returns:
        The rows in their order, without those that are damaged, or of families, measures or verdicts unknown to this version.
    """
    given = listed(content.get("rows"))
    rows = [row for row in map(_row, given) if row is not None]
    return rows, len(given) - len(rows)


def _row(given: Any) -> "Row | None":
    from fishergauge.reference import FAMILIES
    from fishergauge.suites.record import VERDICTS
    from fishergauge.suites.spectrum.row import Measure, Predicted, Row

    found = mapping(given)
    values = {field.name: found[field.name] for field in fields(Row) if field.name in found}
    worded = all(isinstance(values.get(name, ""), str) for name in _WORDS)
    counted = all(_number(values.get(name)) for name in _NUMBERS)
    if not worded or not counted or not isinstance(values.get("promised", True), bool):
        return None
    try:
        row = Row(**values)
    except TypeError:  # a field is missing
        return None
    known = row.family in FAMILIES and row.measure in get_args(Measure) and row.predicted in get_args(Predicted)
    return row if known and row.verdict in VERDICTS and row.kappa is not None else None


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
