"""The conformance matrix of libraries as tables: CSV with a row a cell, Markdown with a row a quantity."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.judgement import STATUSES, WRONG, Cell, counts
from fishergauge.suites.peers.ledger import KINDS, LedgerFinding
from fishergauge.suites.peers.registry import version_of

COLUMNS = ("subject", "claim", "problem", "dtype", "status", "verdict", "measured", "bound", "slack", "finding", "reason")
LEGEND = (
    "`7`: the claim holds on 7 problems; `3✗ 4`: it is red on 3, as the ledger says, and holds on 4; `3! 4`: red, and not as "
    "the ledger says; `(2)`: the library refuses 2 problems; empty: not claimed, or not applicable."
)


def cells_csv(cells: Sequence[Cell]) -> str:
    """A row for each cell; numbers with all their digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in cells:
        record = cell.record
        verdict = "" if cell.status == "vanished" else record.verdict
        numbers = ["" if value is None else repr(value) for value in (record.measured, record.bound, record.slack)]
        key = (record.subject, record.claim, record.problem, record.dtype)
        writer.writerow([*key, cell.status, verdict, *numbers, cell.finding, record.reason])
    return file.getvalue()


def markdown(
    cells: Sequence[Cell], ledger: Sequence[LedgerFinding], head: Sequence[str], missing: Mapping[str, str] | None = None
) -> str:
    """The matrix, a table for each library and precision, then the findings.

    Args:
        cells: of the run.
        ledger: the findings.
        head: lines above the tables.
        missing: libraries that were not tested, and why.
    """
    parts = ["# Conformance of curvature libraries", *head, LEGEND]
    for (library, dtype), own in _by_library(cells).items():
        number = len({cell.record.subject for cell in own})
        title = f"## {library} {version_of(library)}, {dtype}".replace("  ", " ")
        parts += [title, f"{number} quantities: {summary(own)}.", _table(own)]
    for library, reason in (missing or {}).items():
        parts += [f"## {library}", f"Not tested: {reason}."]
    tested = {cell.record.subject.partition("/")[0] for cell in cells}
    concerned = [finding for finding in ledger if finding.library in tested]
    if concerned:
        parts += ["## Findings", *_findings(concerned, cells)]
    return "\n\n".join(parts) + "\n"


def summary(cells: Sequence[Cell]) -> str:
    """How many cells there are of each status."""
    return ", ".join(f"{number} {status}" for status, number in counts(cells).items()) or "no cells"


def entries(cells: Sequence[Cell]) -> dict[str, dict[str, Counter[str]]]:
    """How often each status occurs, by subject and claim; what is measured for information alone is left out."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for cell in cells:
        if cell.status != "not-claimed":
            found[cell.record.subject][cell.record.claim][cell.status] += 1
    return found


def text_of(entry: Mapping[str, int]) -> str:
    """An entry of the matrix, as the legend says.

    Example:
        >>> text_of({"holds": 4, "expected": 3}), text_of({"unexplained": 1}), text_of({"unsupported": 2})
        ('3✗ 4', '1!', '(2)')
    """
    wrong = sum(number for status, number in entry.items() if status in WRONG and status != "mended")
    parts = [
        f"{entry.get('expected', 0)}✗" if entry.get("expected") else "",
        f"{wrong}!" if wrong else "",
        str(holding) if (holding := entry.get("holds", 0) + entry.get("mended", 0)) else "",
        f"({entry['unsupported']})" if entry.get("unsupported") else "",
    ]
    return " ".join(part for part in parts if part)


def _by_library(cells: Sequence[Cell]) -> dict[tuple[str, str], list[Cell]]:
    found: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.record.subject.partition("/")[0], cell.record.dtype].append(cell)
    return found


def _table(cells: Sequence[Cell]) -> str:
    rows = entries(cells)
    claims = [claim for claim in CLAIMS if any(claim in row for row in rows.values())]
    lines = ["| quantity | " + " | ".join(claims) + " |", "| --- |" + " --- |" * len(claims)]
    for subject, row in rows.items():
        own = [text_of(row[claim]) if claim in row else "" for claim in claims]
        lines.append(f"| {subject.partition('/')[2]} | " + " | ".join(own) + " |")
    return "\n".join(lines)


def _findings(ledger: Sequence[LedgerFinding], cells: Sequence[Cell]) -> list[str]:
    explained = Counter(cell.finding for cell in cells if cell.status == "expected")
    lines = ["| finding | library | class | cells | expected | found | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for finding in ledger:
        row = (
            f"`{finding.id}`",
            f"{finding.library} {finding.version}",
            finding.kind,
            str(explained[finding.id]),
            finding.expected,
            finding.found,
            f"{finding.title}. {finding.evidence} ({finding.where})"
            + (f" Reported: {finding.upstream}" if finding.upstream else ""),
        )
        lines.append("| " + " | ".join(part.replace("|", "\\|").replace("\n", " ") for part in row) + " |")
    classes = [f"- {kind}: {meaning}" for kind, meaning in KINDS.items() if any(f.kind == kind for f in ledger)]
    return ["\n".join(classes), "\n".join(lines)]


def statuses() -> str:
    """What the statuses mean, a line each."""
    wide = max(map(len, STATUSES))
    return "\n".join(f"{status:{wide}}  {meaning}" for status, meaning in STATUSES.items())
