"""The report as data: its parts in order, its verdict, and how it is written and read again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fishergauge.reports.page.part import Figure, Gap, Part
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.jsonable import jsonable

SCHEMA = 1
NAME = "report.json"


class DocumentError(ValueError):
    """A report cannot be read; the message gives the file, the cause and a remedy."""


@dataclass(frozen=True)
class Document:
    """A report.

    Args:
        title: its heading.
        parts: in the order of the page.
        command: the command line that made it.
        quick: whether runs were quick ones, so that verdicts can differ from those of a full run.
    """

    title: str
    parts: tuple[Part, ...]
    command: str = ""
    quick: bool = False

    def part(self, name: str) -> Part | None:
        """The part of this name, or None."""
        return next((part for part in self.parts if part.name == name), None)

    @property
    def red(self) -> int:
        """How many things fail the report."""
        return sum(part.red for part in self.parts)

    @property
    def gaps(self) -> list[tuple[Part, Gap]]:
        """What is missing, with the part in which it is."""
        return [(part, gap) for part in self.parts for gap in part.gaps]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON allows it."""
        parts = [{**asdict(part), "status": part.status} for part in self.parts]
        head = {"schema": SCHEMA, "title": self.title, "command": self.command, "quick": self.quick, "red": self.red}
        content: dict[str, Any] = jsonable({**head, "parts": parts})
        return content


def write_document(document: Document, out: Path) -> Path:
    """Write ``report.json`` into the folder of the results, whole or not at all.

    Args:
        document: the report.
        out: an existing folder.

    Returns:
        The path of the file.
    """
    path = out / NAME
    text = json.dumps(document.as_dict(), indent=1, ensure_ascii=False, allow_nan=False, sort_keys=False)
    write_atomically(path, text + "\n")
    return path


def read_document(path: Path) -> Document:
    """Read what :func:`write_document` has written.

    Args:
        path: the file, or the folder that holds it.

    Returns:
        The report.

    Raises:
        DocumentError: there is no such file, it is no report, it is damaged, or of another schema.
    """
    file = path / NAME if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DocumentError(f"{file}: no such file; give a folder that `fishergauge report` wrote, or its {NAME}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DocumentError(f"{file}: no report, or damaged: {error}; make it anew with `fishergauge report`") from None
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list) or "schema" not in content:
        raise DocumentError(f'{file}: no report: an object with "schema" and "parts" is expected')
    if content["schema"] != SCHEMA:
        raise DocumentError(
            f"{file}: schema {content['schema']!r}, this version of fishergauge reads {SCHEMA}; make the report anew"
        )
    try:
        parts = tuple(_part(part) for part in content["parts"])
        return Document(str(content["title"]), parts, str(content.get("command", "")), bool(content.get("quick")))
    except (KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"{file}: damaged: {error!r}; make it anew with `fishergauge report`") from None


def _part(content: Mapping[str, Any]) -> Part:
    """One part, without fields that this version does not know."""
    values = _known(Part, content)
    values["figures"] = tuple(Figure(**_known(Figure, one)) for one in _items(content, "figures"))
    values["gaps"] = tuple(Gap(**_known(Gap, one)) for one in _items(content, "gaps"))
    values["files"] = tuple(map(str, _items(content, "files")))
    values["reds"] = tuple(map(str, _items(content, "reds")))
    return Part(**values)


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in content.items() if name in names}


def _items(content: Mapping[str, Any], name: str) -> Iterable[Any]:
    return content.get(name) or ()
