"""Finished subjects of a conformance run on disk, so that a restart goes on from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishergauge.reports.code_version import code_version
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import RecordsError, read_records, write_records


@dataclass(frozen=True)
class Kept:
    """The place of one subject: ``<digest>.jsonl`` with its records and ``<digest>.json`` with its entry, written last.

    Args:
        folder: of the records.
        digest: of all that the result depends on.
    """

    folder: Path
    digest: str

    @property
    def records(self) -> Path:
        """The file of the records."""
        return self.folder / f"{self.digest}.jsonl"

    @property
    def entry(self) -> Path:
        """The file of the entry."""
        return self.folder / f"{self.digest}.json"

    def read(self) -> dict[str, Any] | None:
        """The entry of an earlier run; None if it did not finish, or if a file is damaged."""
        try:
            entry = json.loads(self.entry.read_text(encoding="utf-8"))
            found = len(read_records(self.records)) if entry["checks"] else 0
        except (OSError, ValueError, KeyError, TypeError, RecordsError):
            return None
        return dict(entry) if found == entry["checks"] else None

    def write(self, entry: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
        """Keep the result of a subject.

        Args:
            entry: of ``subjects.json``.
            records: of its checks.

        Returns:
            The entry as it will be read back.
        """
        if records:
            write_records(records, self.records)
        content: dict[str, Any] = jsonable({**entry, "checks": len(records), "digest": self.digest, "code": code_version()})
        write_atomically(self.entry, json.dumps(content, indent=1, allow_nan=False) + "\n")
        return content


def forget_other_code(folder: Path) -> None:
    """Remove what other versions of the code have left, which nothing will ever use again.

    Args:
        folder: of the records.
    """
    for path in folder.glob("*.json"):
        try:
            foreign = json.loads(path.read_text(encoding="utf-8")).get("code") != code_version()
        except (OSError, ValueError, AttributeError):
            foreign = True
        if foreign:
            path.unlink()
            path.with_suffix(".jsonl").unlink(missing_ok=True)
