"""Finished cells on disk: one JSON line each, so that a restart continues where the last run ended."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.suites.jsonable import jsonable


class Store:
    """The finished cells of a folder, in ``cells.jsonl``.

    A record is kept under the cell's key, the device and torch's version: what determines the result. Lines of other
    cells, older code included, stay where they are.

    Args:
        folder: existing and writable.
        say: called with a message when a damaged line is left out.

    Example:
        >>> from tempfile import mkdtemp
        >>> Store(Path(mkdtemp())).get(Cell("e4", "published", "synthetic", 0), "cpu") is None
        True
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.path = folder / "cells.jsonl"
        self._records: dict[tuple[str, str, str], Record] = {}
        if self.path.exists():
            self._read(say)

    def get(self, cell: Cell, device: str) -> Record | None:
        """The record of a finished cell, None if it has not been computed."""
        return self._records.get((cell.key, device, torch.__version__))

    def put(self, cell: Cell, device: str, record: Record) -> Record:
        """Keep the record of a finished cell; return it as it will be read back."""
        kept: Record = jsonable(record)
        line = {
            "key": cell.key,
            "device": device,
            "torch": torch.__version__,
            "cell": {**cell.__dict__, "settings": dict(cell.settings)},
            "record": kept,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._records[cell.key, device, torch.__version__] = kept
        return kept

    def _read(self, say: Callable[[str], None]) -> None:
        content = self.path.read_bytes()
        sound = 0  # length of the part that is kept
        lines = content.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                self._records[entry["key"], entry["device"], entry["torch"]] = entry["record"]
                complete = line.endswith(b"\n")
            except (ValueError, KeyError, TypeError):
                complete = False
                if number < len(lines):
                    say(f"{self.path}: line {number} is damaged and left out; its cell is computed again")
                    complete = True
            if not complete:
                say(f"{self.path}: the last line is half-written and dropped; its cell is computed again")
                self._records = {key: record for key, record in self._records.items() if key != _key_of(line)}
                break
            sound += len(line)
        if sound < len(content):
            os.truncate(self.path, sound)


def _key_of(line: bytes) -> tuple[str, str, str] | None:
    """The key of a line that is whole but for its end, None of a broken one."""
    try:
        entry = json.loads(line)
        return entry["key"], entry["device"], entry["torch"]
    except (ValueError, KeyError, TypeError):
        return None
