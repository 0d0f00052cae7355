"""Rows of a measurement as JSON: a head that says where they come from, and a line for each row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fishergauge.suites.jsonable import jsonable


def rows_json(head: Mapping[str, Any], rows: Sequence[Any]) -> str:
    """The document.

    Args:
        head: schema, provenance, plan.
        rows: dataclasses with a property ``red``.

    Returns:
        JSON that keeps a row on a line, so that versions can be compared line by line.
    """
    lines = [json.dumps(jsonable({**asdict(row), "red": row.red}), allow_nan=False) for row in rows]
    begin = json.dumps(jsonable(head), indent=1, allow_nan=False).removesuffix("\n}")
    return begin + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
