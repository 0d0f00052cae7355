"""The records of a run, read so that a damaged line costs nothing but itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fishergauge.reports.page.part import Gap

TEXTS = ("subject", "claim", "problem", "dtype", "verdict")


def read_checks(out: Path, name: str, what: str, command: str) -> tuple[list[dict[str, Any]], list[Gap]]:
    """Read the records as dictionaries.

    Args:
        out: folder of the results.
        name: of the file, relative to it.
        what: they are, for people.
        command: that writes them.

    Returns:
        Those that can be read, in their order; and gaps that name file, cause and remedy.
    """
    from fishergauge.suites.record import SCHEMA, VERDICTS

    try:
        text = (out / name).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return [], [Gap(what, f"{name} is not there.", command)]
    except OSError as error:
        return [], [Gap(what, f"{name} cannot be read: {error.strerror or type(error).__name__}.", command)]
    found, damaged, foreign = [], 0, set()
    for line in _lines(text):
        if line is not None and line.get("schema") != SCHEMA:
            foreign.add(repr(line.get("schema")))
        elif line is None or not all(isinstance(line.get(key), str) for key in TEXTS) or line["verdict"] not in VERDICTS:
            damaged += 1
        else:
            found.append(line)
    gaps = []
    if damaged:
        gaps.append(Gap(what, f"{name} is damaged: {damaged} of its lines cannot be read. Run the command again.", command))
    if foreign:
        said = f"{name} holds lines of schema {', '.join(sorted(foreign))}, and this version of fishergauge reads {SCHEMA}."
        gaps.append(Gap(what, f"{said} Run the command again.", command))
    return found, gaps


def _lines(text: str) -> Iterator[dict[str, Any] | None]:
    """Each line as an object; None for one that is none."""
    for line in text.split("\n"):
        if line.strip():
            try:
                content = json.loads(line, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                yield None
            else:
                yield content if isinstance(content, dict) else None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
