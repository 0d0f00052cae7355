"""The libraries as rows of a table: what the ledger has on each, and what the run at hand did with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fishergauge.reports.page.json_artefact import listed, mapping
from fishergauge.reports.page.peers_cells import PeersCells

if TYPE_CHECKING:
    from fishergauge.suites.peers.ledger import LedgerFinding

EXECUTED = ("holds", "expected", "unexplained", "new", "changed", "mended")
"""Statuses of cells in which something was measured against a bound, or failed."""


def library_rows(
    ledger: "Sequence[LedgerFinding]", known: Mapping[str, int], run: Mapping[str, Any], cells: PeersCells
) -> list[dict[str, Any]]:
    """A row for each library of the ledger and of the run.

    Args:
        ledger: the findings.
        known: number of red cells that each explains, by id.
        run: content of ``peers.json``, empty where there was no run.
        cells: of the run.

    Returns:
        The rows, in the order of the ledger.
    """
    names = dict.fromkeys([*(finding.library for finding in ledger), *map(str, mapping(run.get("missing")))])
    quantities = Counter(str(mapping(one).get("library")) for one in listed(run.get("quantities")))
    names |= dict.fromkeys(name for name in [*quantities, *cells.libraries] if name)
    return [_row(name, ledger, known, run, cells, quantities[name]) for name in names]


def _row(
    library: str,
    ledger: "Sequence[LedgerFinding]",
    known: Mapping[str, int],
    run: Mapping[str, Any],
    cells: PeersCells,
    quantities: int,
) -> dict[str, Any]:
    from fishergauge.suites.peers.judgement import WRONG
    from fishergauge.suites.peers.registry import version_of

    own = [finding for finding in ledger if finding.library == library]
    found_in = list(dict.fromkeys(finding.version for finding in own))
    ran_with = mapping(run.get("versions")).get(library)
    counts = counts_of(library, run, cells)
    row: dict[str, Any] = {
        "library": library,
        "found_in": found_in,
        "installed": version_of(library),
        "ran_with": str(ran_with) if ran_with else "",
        "state": _state(library, run, bool(counts)),
        "findings": len(own),
        "kinds": dict(Counter(finding.kind for finding in own)),
        "known": sum(known.get(finding.id, 0) for finding in own),
    }
    if counts:
        row |= {
            "quantities": quantities,
            "dtypes": list(cells.dtypes.get(library, ())),
            "executed": sum(counts.get(status, 0) for status in EXECUTED),
            "holds": counts.get("holds", 0),
            "expected": counts.get("expected", 0),
            "refused": counts.get("unsupported", 0),
            "wrong": {status: counts[status] for status in counts if status in WRONG},
        }
    return row


def counts_of(library: str, run: Mapping[str, Any], cells: PeersCells) -> dict[str, int]:
    """How many cells of a library there are of each status: from the cells, else from the table of quantities.

    Args:
        library: its name.
        run: content of ``peers.json``.
        cells: of the run.
    """
    if library in cells.libraries:
        return dict(cells.libraries[library])
    found: Counter[str] = Counter()
    for quantity in map(mapping, listed(run.get("quantities"))):
        if quantity.get("library") == library:
            for claim in map(mapping, mapping(quantity.get("claims")).values()):
                found.update({str(status): number for status, number in claim.items() if isinstance(number, int)})
    return dict(found)


def _state(library: str, run: Mapping[str, Any], counted: bool) -> str:
    if counted:
        return "run"
    return "not installed" if library in mapping(run.get("missing")) else "not run"
