"""Changes since the previous report: what became red, vanished, costs more or got better."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fishergauge.reports.page.collecting import TITLES
from fishergauge.reports.page.difference import Difference, difference
from fishergauge.reports.page.difference_change import Change
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part

NAME = "changes"
TITLE = "Changes since the previous report"
MOST = 500
"""Rows that the table holds; the red ones come first, so that what is left out is of less interest."""
LONGEST = 600
"""Characters of a text in the table."""
MOST_REDS = 20


def changes_part(old: Document, new: Document, folders: tuple[Path, Path] | None = None) -> Part:
    """The difference between two reports as the first part of the new one.

    Args:
        old: the earlier report.
        new: the later one, without this part.
        folders: of both, where their artefacts lie.

    Returns:
        The part. Red in it is what got worse and is not red in its own part already, such as a check that vanished; at least
        one if anything got worse at all, so that the report fails.
    """
    found = difference(old, new, folders)
    fresh = [change for change in found.red if not change.counted]
    red = len(fresh) or int(bool(found.red) and not new.red)
    lines = tuple(_line(change) for change in (fresh or found.red)[:MOST_REDS]) if red else ()
    return Part(NAME, TITLE, found.summary(), _data(found, old, new), red=red, reds=lines)


def _data(found: Difference, old: Document, new: Document) -> dict[str, Any]:
    """What the templates show."""
    told = [change for change in found.changes if change.kind != "note"]
    notes = [change for change in found.changes if change.kind == "note"]
    return {
        "old": old.title,
        "new": new.title,
        "red": len(found.red),
        "elsewhere": sum(change.counted for change in found.red),
        "changes": list(_rows(told[:MOST])),
        "more": max(0, len(told) - MOST),
        "notes": list(_rows(notes[:MOST])),
        "meanings": {kind: _MEANINGS[kind] for kind in _MEANINGS if any(one.kind == kind for one in told)},
    }


_MEANINGS: Mapping[str, str] = {
    "regression": "a verdict or a result that is worse than before",
    "vanished": "was checked or measured before, and is not any more",
    "drift": "still holds, but uses more than ten times as much of its bound",
    "cost": "more counted operations, passes or memory",
    "new": "not in the earlier report",
    "improvement": "better than before",
    "changed": "different, and neither better nor worse",
}


def _rows(changes: Iterable[Change]) -> Iterable[dict[str, Any]]:
    for change in changes:
        row = {name: value for name, value in asdict(change).items() if name not in ("counted", "subject")}
        yield {
            **row,
            "title": TITLES.get(change.part, change.part),
            "what": _short(change.what),
            "text": _short(change.text),
        }


def _line(change: Change) -> str:
    return f"{change.kind}: {_short(str(change))}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."
