"""The lines of a sweep on disk: appended as cells end, by as many processes as there are, and read in whatever state."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.line import Line, LineError, SchemaError, parse_line
from fishergauge.reports.usage import UsageError

try:
    import fcntl
except ImportError:  # not on Windows, where one process appends at a time
    fcntl = None  # type: ignore[assignment]


NAMED = 10
"""Damaged lines of a file that are named: one that never was of a sweep has nothing else."""


class StoreError(UsageError):
    """A file that cannot hold the lines of a sweep; the message names cause and remedy."""


class SweepStore:
    """One file ``cells.jsonl``, which only grows.

    What cannot be read is said and left out, and stays in the file; its cells are computed again. Of several lines of a key,
    the first that is done counts, and the last that failed where none is done.

    Args:
        path: of the file; made with its folder when the first line is added.
        say: called with a message for each damaged line, up to :data:`NAMED`.

    ``damaged`` is the number of lines left out, and ``second`` has the lines that are done and do not count.

    Raises:
        StoreError: the path cannot be read.
        SchemaError: a line has another schema.

    Example:
        >>> from tempfile import mkdtemp
        >>> SweepStore(Path(mkdtemp()) / "cells.jsonl").lines()
        []
    """

    def __init__(self, path: Path, say: Callable[[str], None] = print) -> None:
        self.path, self.say, self.damaged = path, say, 0
        self.second: list[Line] = []
        self._lines: dict[str, Line] = {}
        self._bytes, self._ends = 0, 0  # of the file are known, so many ends of lines among them
        if path.exists():
            with self._opened("rb") as file, _locked(file, "LOCK_SH"):
                self._catch_up(file)

    def lines(self) -> list[Line]:
        """The line that counts of each key, in the order in which the keys appeared."""
        return list(self._lines.values())

    def get(self, cell: SweepCell) -> Line | None:
        """The line of a cell, None if it has not been tried."""
        return self._lines.get(cell.key)

    def make(self) -> None:
        """Make the file where there is none, so that it is known, before anything is computed, that it can be written.

        Raises:
            StoreError: it cannot.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}; name another folder") from None
        with self._opened("ab"):
            pass

    def add(self, line: Line) -> Line:
        """Append a line, safely on the disk when this returns.

        Nothing is written where another process has finished the cell meanwhile.

        Args:
            line: of a cell that ended.

        Returns:
            The line of the cell that counts.

        Raises:
            StoreError: the file cannot be written.
        """
        self.make()
        with self._opened("a+b") as file, _locked(file, "LOCK_EX"):
            self._catch_up(file)
            kept = self._lines.get(line.key)
            if kept is not None and kept.verdict == "done":
                return kept
            unended = b"\n" if self._bytes and _last_byte(file) != b"\n" else b""  # of a process that was killed as it wrote
            file.write(unended + line.text().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._catch_up(file)
        return self._lines[line.key]

    def _catch_up(self, file: IO[bytes]) -> None:
        """Read what is new, while nobody writes."""
        file.seek(self._bytes)
        for content in file:
            if content.strip():
                self._take(content)
            self._bytes += len(content)
            self._ends += content.endswith(b"\n")

    def _take(self, content: bytes) -> None:
        try:
            line = parse_line(content)
        except LineError as error:
            self.damaged += 1
            if self.damaged <= NAMED:
                self.say(f"{self.path}: line {self._ends + 1} is damaged and left out ({error}); its cell is computed again")
            elif self.damaged == NAMED + 1:
                self.say(f"{self.path}: further damaged lines are left out, and not named")
        except SchemaError as error:
            raise SchemaError(f"{self.path}: line {self._ends + 1}: {error}") from None
        else:
            kept = self._lines.get(line.key)
            if kept is None or kept.verdict == "failed":
                self._lines[line.key] = line
            elif line.verdict == "done":
                self.second.append(line)

    @contextmanager
    def _opened(self, mode: str) -> Iterator[IO[bytes]]:
        try:
            file = self.path.open(mode)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}; name another folder") from None
        with file:
            yield file


@contextmanager
def _locked(file: IO[bytes], kind: str) -> Iterator[None]:
    """Alone with a file (``LOCK_EX``), or with others that read it (``LOCK_SH``), as far as all processes ask in this way."""
    if fcntl is None:
        yield
        return
    fcntl.flock(file, getattr(fcntl, kind))
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _last_byte(file: IO[bytes]) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
