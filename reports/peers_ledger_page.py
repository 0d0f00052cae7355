"""The ledger as a page to read: ``README.md`` in its folder, beside the scripts."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from fishergauge.suites.peers.expected_cells import ExpectedCell
from fishergauge.suites.peers.ledger import KINDS, LedgerFinding

HEAD = """\
# What was found in which library

Each finding has a script of less than forty lines that needs the library alone and prints the right result and the
library's. *Red cells* are the checks of `fishergauge peers` that it explains; those without any were found by hand, where the
kit does not look. [docs/peers.md](../../../docs/peers.md) says how to read this. The page is written by
`fishergauge peers --update` from the TOML files beside it."""


def ledger_page(ledger: Sequence[LedgerFinding], expected: Sequence[ExpectedCell]) -> str:
    """The findings, library by library, with how many red cells each explains.

    Args:
        ledger: the findings.
        expected: the known red cells.

    Example:
        >>> print(ledger_page([], []).splitlines()[0])
        # What was found in which library
    """
    cells = Counter(cell.finding for cell in expected)
    libraries: dict[str, list[LedgerFinding]] = defaultdict(list)
    for finding in ledger:
        libraries[finding.library].append(finding)
    parts = [HEAD, _classes(), _counts(libraries, cells)]
    for library, own in libraries.items():
        parts += [f"## {library} {own[0].version}", *(_entry(finding, cells[finding.id]) for finding in own)]
    return "\n\n".join(parts) + "\n"


def _classes() -> str:
    rows = (f"| {kind} | {meaning} |" for kind, meaning in KINDS.items())
    return "\n".join(["| class | meaning |", "| --- | --- |", *rows])


def _counts(libraries: dict[str, list[LedgerFinding]], cells: Counter[str]) -> str:
    kinds = [kind for kind in KINDS if any(finding.kind == kind for own in libraries.values() for finding in own)]
    lines = [
        "| library | findings | " + "".join(f"{kind} | " for kind in kinds) + "red cells |",
        "| --- |" + " --- |" * (len(kinds) + 2),
    ]
    for library, own in libraries.items():
        numbers = [len(own), *(sum(finding.kind == kind for finding in own) for kind in kinds)]
        numbers.append(sum(cells[finding.id] for finding in own))
        lines.append(f"| {library} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


def _entry(finding: LedgerFinding, cells: int) -> str:
    seen = f"{cells} red cells" if cells else "found by hand"
    upstream = f" Reported: {finding.upstream}." if finding.upstream else ""
    said = f"{_sentence(finding.title)} {_sentence(finding.evidence)}"
    return (
        f"**[{finding.id}]({finding.id}.py)** ({finding.kind}, {seen}). {said} "
        f"Expected `{finding.expected}`, found `{finding.found}`. In `{finding.where}`.{upstream}"
    )


def _sentence(text: str) -> str:
    """A text on one line, as a sentence."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "!", "?")) else ".")
