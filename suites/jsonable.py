"""Values as JSON allows them: non-finite numbers become null with a reason beside them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def jsonable(value: Any) -> Any:
    """Convert nested values to what JSON can carry.

    Args:
        value: dictionaries, lists, tuples, tensors, arrays, paths, numpy numbers and plain values.

    Returns:
        The same with lists for sequences and tensors, and ``None`` for numbers that are not finite; the
        dictionary around one says why under ``<key>_reason``, unless it does already.

    Raises:
        TypeError: a value of another kind.

    Example:
        >>> jsonable({"ratio": float("inf"), "n": 3})
        {'ratio': None, 'ratio_reason': 'inf', 'n': 3}
    """
    if isinstance(value, Mapping):
        converted: dict[str, Any] = {}
        for key, item in value.items():
            converted[str(key)] = jsonable(item)
            reasons = sorted(set(_non_finite(item)))
            if reasons and f"{key}_reason" not in value:
                converted[f"{key}_reason"] = ", ".join(reasons)
        return converted
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):  # a tensor, an array or a number of numpy
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} does not go into JSON: {value!r}")


def _non_finite(value: Any) -> list[str]:
    """The non-finite numbers in a number, or in a sequence outside further dictionaries, as text."""
    if isinstance(value, Mapping | str) or value is None:
        return []
    if isinstance(value, list | tuple):
        return [reason for item in value for reason in _non_finite(item)]
    number = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(number, list):
        return _non_finite(number)
    return [str(number)] if isinstance(number, float) and not math.isfinite(number) else []
