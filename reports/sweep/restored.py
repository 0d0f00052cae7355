"""Results of cells as they were before JSON: numbers that are not finite are put back."""

import math
from collections.abc import Mapping
from typing import Any

NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def restored(content: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary before :func:`~fishergauge.suites.jsonable.jsonable` made it fit for JSON.

    Args:
        content: with numbers, or null and the reason beside it.

    Returns:
        The same without the reasons.

    Example:
        >>> from fishergauge.suites.jsonable import jsonable
        >>> restored(jsonable({"bound": float("inf"), "reason": "", "rank": None}))
        {'bound': inf, 'reason': '', 'rank': None}
    """
    lost = {name: NON_FINITE[why] for name, value in content.items() if value is None and (why := _why(name, content))}
    return {
        name: lost.get(name, value)
        for name, value in content.items()
        if name.removesuffix("_reason") not in lost or name in lost
    }


def _why(name: str, content: Mapping[str, Any]) -> str:
    """What the number was, where the reason beside it says that it was not finite."""
    reason = content.get(f"{name}_reason")
    return reason if isinstance(reason, str) and reason in NON_FINITE else ""
