"""The records of the libraries held against the ledger: what is known, what is new, and what has been mended."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fishergauge.suites.peers.expected_cells import ExpectedCell, Key
from fishergauge.suites.peers.ledger import LedgerFinding, explanation
from fishergauge.suites.record import Record

Status = Literal["holds", "expected", "unsupported", "not-claimed", "unexplained", "new", "changed", "mended", "vanished"]
STATUSES: Mapping[Status, str] = {
    "holds": "the claim holds",
    "expected": "red, as the ledger says",
    "unsupported": "the library refuses the problem",
    "not-claimed": "measured for information",
    "unexplained": "red, and no finding explains it",
    "new": "red, and a finding explains it, but it is not among its known cells",
    "changed": "red in another way than the ledger says",
    "mended": "the ledger says that it is red, and it is not any more",
    "vanished": "the ledger says that it is red, and it was not executed",
}
WRONG: frozenset[Status] = frozenset({"unexplained", "new", "changed", "mended", "vanished"})
"""What turns a run red: the ledger is to be updated, or the library to be looked at."""


@dataclass(frozen=True)
class Cell:
    """A check of a library in the light of the ledger.

    Args:
        record: of the check; of a vanished one its name alone.
        status: one of :data:`STATUSES`.
        finding: the id of the finding that explains it or was to explain it; empty for none.
    """

    record: Record
    status: Status
    finding: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it contradicts the ledger."""
        return self.status in WRONG

    def text(self) -> str:
        """What a person needs to know of a wrong cell, in a line or a few."""
        record = self.record
        said = (
            f"{self.status}  {record.claim} of {record.subject} on {record.problem} ({record.dtype}): {STATUSES[self.status]}"
        )
        if self.finding:
            said += f" ({self.finding})"
        if record.measured is not None:
            said += f"\n    measured {record.measured:.3g}, bound {record.bound:.3g}"
        for part in (record.reason, record.witness, record.nearest and f"nearest: {record.nearest}"):
            if part and record.red:
                said += f"\n    {part}"
        return said + (f"\n    again: {record.again}" if record.again else "")


def judged(
    records: Sequence[Record],
    ledger: Sequence[LedgerFinding],
    expected: Sequence[ExpectedCell],
    selected: Callable[[ExpectedCell], bool] = lambda cell: True,
) -> list[Cell]:
    """Hold records against the ledger, strictly.

    Args:
        records: of the run.
        ledger: the findings.
        expected: the red cells that are known.
        selected: whether the run was to execute a known cell; one that it left out is not missed.

    Returns:
        A cell for each record, in their order, then one for each that vanished.

    Example:
        >>> known = ExpectedCell("lib/fisher", "T1", "mlp", "float64", "violated", "lib_scale")
        >>> red = [Record("lib/fisher", "T1", problem, verdict="violated") for problem in ("mlp", "cnn")]
        >>> [cell.status for cell in judged(red, [], [known])]
        ['expected', 'unexplained']
        >>> judged([Record("lib/fisher", "T1", "mlp")], [], [known])[0].status
        'mended'
    """
    known = {cell.key: cell for cell in expected}
    cells = [_cell(record, known.get(key_of(record)), ledger) for record in records]
    executed = {key_of(record) for record in records}
    for cell in expected:
        if cell.key not in executed and selected(cell):
            gone = Record(cell.subject, cell.claim, cell.problem, cell.dtype, verdict="not-claimed")
            cells.append(Cell(gone, "vanished", cell.finding))
    return cells


def renewed(cells: Sequence[Cell], ledger: Sequence[LedgerFinding], old: Sequence[ExpectedCell]) -> list[ExpectedCell]:
    """The known red cells after a run: those that it executed as they are now, the others as they were.

    Args:
        cells: of the run.
        ledger: the findings, by which red cells are explained anew.
        old: the cells that were known.
    """
    seen = {key_of(cell.record) for cell in cells}
    kept = [cell for cell in old if cell.key not in seen]
    for cell in cells:
        finding = explanation(cell.record, ledger) if cell.record.red else None
        if finding is not None:
            kept.append(ExpectedCell(*key_of(cell.record), cell.record.verdict, finding.id))
    return kept


def counts(cells: Sequence[Cell]) -> dict[Status, int]:
    """How many cells there are of each status, in the order of :data:`STATUSES`."""
    found = Counter(cell.status for cell in cells)
    return {status: found[status] for status in STATUSES if found[status]}


def key_of(record: Record) -> Key:
    """What identifies a check in the ledger."""
    return record.subject, record.claim, record.problem, record.dtype


def _cell(record: Record, known: ExpectedCell | None, ledger: Sequence[LedgerFinding]) -> Cell:
    if record.red:
        if known is not None:
            return Cell(record, "expected" if known.verdict == record.verdict else "changed", known.finding)
        finding = explanation(record, ledger)
        return Cell(record, "unexplained") if finding is None else Cell(record, "new", finding.id)
    if known is not None:
        return Cell(record, "mended", known.finding)
    status: Status = "holds" if record.verdict in ("holds", "expected") else "unsupported"
    return Cell(record, "not-claimed" if record.verdict == "not-claimed" else status)
