"""The tables of planted defects and the probes that see them: for people, and as CSV."""

import csv
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.suites.wording import number, plural

if TYPE_CHECKING:
    from fishergauge.suites.meta.probe_selftest import ProbeRow

WIDTH = 118
FIELDS = ("defect", "title", "problem", "P", "dense", "seen", "measured", "bound", "reason")


def table_text(rows: "Sequence[ProbeRow]", titles: Mapping[str, str], blind: Mapping[str, str]) -> str:
    """For each defect the probe that sees it first, or why none can; and how many each probe sees first.

    Args:
        rows: of the planted defects.
        titles: of the defects, by id.
        blind: why a defect cannot be seen, by id.
    """
    lines = ["planted defects and the first probe that sees them"]
    for row in rows:
        text = f"{row.defect:<6} {titles.get(row.defect, '')}: {verdict(row, blind)}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 7)
    lines += ["", f"{'probe':<26} sees first"]
    counts = Counter(row.seen or "the end of the process" for row in rows if row.found)
    lines += [f"{probe:<26} {count:>10}" for probe, count in counts.most_common()]
    return "\n".join(lines)


def verdict(row: "ProbeRow", blind: Mapping[str, str]) -> str:
    """What became of a defect, in a phrase.

    Args:
        row: of the defect.
        blind: why a defect cannot be seen, by id.
    """
    if row.fatal:
        return f"its process: {row.fatal}"
    if row.seen:
        measured = "" if row.measured is None else f" ({number(row.measured)}, bound {number(row.bound)})"
        return f"{row.seen} on {row.problem}, P = {row.size:,}{measured}"
    if not row.red:
        return "cannot be made on any of the problems"
    return f"not seen: {blind[row.defect]}" if row.defect in blind else "NOT SEEN"


def summary(rows: "Sequence[ProbeRow]", complaints: Sequence[str]) -> str:
    """The table in one line.

    Args:
        rows: of the planted defects.
        complaints: about the probes.
    """
    red = [row for row in rows if row.red]
    seen = sum(row.found for row in red)
    head = f"{plural(len(red), 'planted defect')} with a red dense verdict"
    return f"{head}: {seen} seen, {len(red) - seen} not; {plural(len(complaints), 'complaint')}"


def write_probe_table(rows: "Sequence[ProbeRow]", titles: Mapping[str, str], blind: Mapping[str, str], path: Path) -> None:
    """Write the table as CSV.

    Args:
        rows: of the planted defects.
        titles: of the defects, by id.
        blind: why a defect cannot be seen, by id.
        path: of the file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for row in rows:
            reason = blind.get(row.defect, "") if not row.found else row.fatal
            dense = "" if row.dense is None else f"{row.dense:.3g}"
            figures = ["" if value is None else f"{value:.3g}" for value in (row.measured, row.bound)]
            writer.writerow([row.defect, titles.get(row.defect, ""), row.problem, row.size, dense, row.seen, *figures, reason])
