"""Reading values from data of a report that another version may have written: what is not as expected counts as absent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def mappings(data: object, *names: str) -> list[Mapping[str, Any]]:
    """The objects of a list.

    Args:
        data: an object, possibly.
        names: of the list, one inside the other.

    Example:
        >>> mappings({"a": {"b": [{"c": 1}, 2]}}, "a", "b")
        [{'c': 1}]
    """
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(data, Sequence) or isinstance(data, str):
        return []
    return [item for item in data if isinstance(item, Mapping)]


def texts(data: object, name: str) -> list[str]:
    """The items of a list as text; none where there is no list."""
    items = data.get(name) if isinstance(data, Mapping) else None
    return [str(item) for item in items] if isinstance(items, Sequence) and not isinstance(items, str) else []


def text(data: object, name: str) -> str:
    """A text or number as text; empty where there is none."""
    value = data.get(name) if isinstance(data, Mapping) else None
    return "" if value is None or isinstance(value, Mapping | list | tuple) else str(value)


def real(data: object, name: str) -> float | None:
    """A finite number, or one that is not finite where ``<name>_reason`` says so; None where there is none.

    Example:
        >>> real({"a": 3}, "a"), real({"a": "x"}, "a"), real({"a": None, "a_reason": "inf"}, "a")
        (3.0, None, inf)
    """
    if not isinstance(data, Mapping):
        return None
    value = data.get(name)
    if value is None and data.get(f"{name}_reason") == "inf":
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def integer(data: object, name: str) -> int:
    """A count; zero where there is none."""
    value = real(data, name)
    return int(value) if value is not None and math.isfinite(value) else 0


def keyed(rows: Sequence[Mapping[str, Any]], *names: str) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Rows by some of their fields; of rows that share them, the first.

    Args:
        rows: of a table.
        names: of the fields.

    Example:
        >>> keyed([{"id": "E1", "data": "wine", "n": 3}], "id", "data")
        {('E1', 'wine'): {'id': 'E1', 'data': 'wine', 'n': 3}}
    """
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(tuple(text(row, name) for name in names), row)
    return found
