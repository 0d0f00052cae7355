"""Tables and summaries as files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishergauge.suites.jsonable import jsonable


def write_csv(rows: Sequence[dict[str, Any]], path: Path, columns: Sequence[str] | None = None) -> Path:
    """Write rows as CSV; the columns are those given, or those of the rows in order of appearance. None becomes empty."""
    names = list(columns) if columns is not None else list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(content: dict[str, Any], path: Path) -> Path:
    """Write a summary as indented JSON; non-finite numbers become null with a reason."""
    path.write_text(json.dumps(jsonable(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path
