"""A titled table, for a terminal and for a Markdown document."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fishergauge.suites.wording import wrapped


@dataclass(frozen=True)
class Section:
    """A titled table with what a reader must know of it. Columns of words are aligned to the left, the others to the right.

    Args:
        title: of the section.
        head: of the columns.
        rows: of cells.
        above: sentences before the table; ``below``: after it.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    above: Sequence[str] = ()
    below: Sequence[str] = ()

    def text(self) -> str:
        """For a terminal."""
        lines = [self.title, *(line for text in self.above for line in wrapped(text, first="  ", rest="  "))]
        if self.rows:
            cells, worded = [self.head, *self.rows], self._worded()
            wide = [max(len(row[i]) for row in cells) for i in range(len(self.head))]
            for row in cells:
                padded = [t.ljust(w) if words else t.rjust(w) for t, w, words in zip(row, wide, worded, strict=True)]
                lines.append(" ".join(padded).rstrip())
        return "\n".join([*lines, *(line for text in self.below for line in wrapped(text, first="  ", rest="  "))])

    def markdown(self) -> str:
        """A section of a document."""
        parts = [f"## {self.title}", *self.above]
        if self.rows:
            rule = ["---" if words else "---:" for words in self._worded()]
            lines = [self.head, rule, *self.rows]
            parts.append("\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines))
        return "\n\n".join([*parts, *self.below])

    def _worded(self) -> list[bool]:
        """Which columns hold words."""
        return [any(re.search("[a-z]{3}", row[i]) for row in self.rows) for i in range(len(self.head))]
