"""The findings of the ledger as rows of a table, the most telling ones first."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fishergauge.suites.peers.ledger import LedgerFinding

_LINK = re.compile(r"https?://[^\s<>\"']+")


def finding_rows(
    ledger: "Sequence[LedgerFinding]", known: Mapping[str, int], seen: Mapping[str, int], ran: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each finding: defects before what was never promised, and within a class by the number of red cells.

    Args:
        ledger: the findings.
        known: number of red cells that each explains, by id, as the ledger has them from full runs.
        seen: the same in the run at hand.
        ran: libraries that it examined.

    Returns:
        The rows. ``seen`` is None where the library was not run, or the kit cannot see the finding.
    """
    from fishergauge.suites.peers.ledger import KINDS

    kinds = list(KINDS)
    rows = [
        {
            "id": finding.id,
            "library": finding.library,
            "version": finding.version,
            "kind": finding.kind,
            "title": " ".join(finding.title.split()),
            "evidence": " ".join(finding.evidence.split()),
            "where": finding.where,
            "expected": finding.expected,
            "found": finding.found,
            "upstream": finding.upstream,
            "link": link_of(finding.upstream),
            "known": known.get(finding.id, 0),
            "seen": seen.get(finding.id, 0) if finding.library in ran and known.get(finding.id) else None,
        }
        for finding in ledger
    ]
    return sorted(rows, key=lambda row: (kinds.index(row["kind"]), -row["known"], row["library"], row["id"]))


def kind_rows(ledger: "Sequence[LedgerFinding]") -> list[dict[str, Any]]:
    """The classes that occur, with what each means and how many findings are of it.

    Args:
        ledger: the findings.
    """
    from fishergauge.suites.peers.ledger import KINDS

    counts = Counter(finding.kind for finding in ledger)
    return [{"kind": kind, "meaning": meaning, "count": counts[kind]} for kind, meaning in KINDS.items() if counts[kind]]


def link_of(text: str) -> str:
    """A text that is a link and nothing else, or nothing.

    Args:
        text: of the ledger.

    Example:
        >>> link_of("https://example.org/issues/1"), link_of("javascript:alert(1)")
        ('https://example.org/issues/1', '')
    """
    return text if _LINK.fullmatch(text) else ""
