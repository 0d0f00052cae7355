"""Records held against the ledger: each status, and what becomes of the known cells."""

from dataclasses import replace

import pytest

from fishergauge.suites.peers.expected_cells import ExpectedCell
from fishergauge.suites.peers.judgement import STATUSES, WRONG, Cell, counts, judged, renewed
from fishergauge.suites.peers.ledger import Cells, LedgerFinding
from fishergauge.suites.record import Record, Verdict

KNOWN = ExpectedCell("lib/fisher", "T1", "mlp", "float64", "violated", "lib_scale")
FINDING = LedgerFinding(
    "lib_scale", "lib", "1", "doubled", "defect", "lib.py", "twice", "1", "2", cells=(Cells(("lib/*",), ("T1",), ("*",)),)
)


def record(verdict: Verdict, problem: str = "mlp", claim: str = "T1", dtype: str = "float64") -> Record:
    return Record("lib/fisher", claim, problem, dtype, verdict=verdict, measured=1.0, bound=0.5, reason="why", witness="where")


@pytest.mark.parametrize(
    ("verdict", "problem", "claim", "status"),
    [
        ("violated", "mlp", "T1", "expected"),
        ("error", "mlp", "T1", "changed"),
        ("holds", "mlp", "T1", "mended"),
        ("unsupported", "mlp", "T1", "mended"),
        ("not-claimed", "mlp", "T1", "mended"),
        ("violated", "cnn", "T1", "new"),
        ("violated", "mlp", "T2", "unexplained"),
        ("error", "mlp", "T2", "unexplained"),
        ("holds", "cnn", "T1", "holds"),
        ("unsupported", "cnn", "T1", "unsupported"),
        ("not-claimed", "cnn", "T1", "not-claimed"),
    ],
)
def test_the_status_of_a_record(verdict: Verdict, problem: str, claim: str, status: str) -> None:
    cell = judged([record(verdict, problem, claim)], [FINDING], [KNOWN], lambda known: False)[0]
    assert cell.status == status
    assert cell.wrong == (status in ("changed", "mended", "new", "unexplained"))
    assert cell.finding == ("lib_scale" if status in ("expected", "changed", "mended", "new") else "")


def test_a_cell_is_known_in_one_precision() -> None:
    assert judged([record("violated", dtype="float32")], [], [KNOWN], lambda known: False)[0].status == "unexplained"


def test_a_known_cell_that_was_selected_and_not_executed_has_vanished() -> None:
    (cell,) = judged([], [FINDING], [KNOWN])
    assert (cell.status, cell.record.problem, cell.wrong) == ("vanished", "mlp", True)
    assert judged([], [FINDING], [KNOWN], lambda known: False) == []
    assert [cell.status for cell in judged([record("violated")], [FINDING], [KNOWN])] == ["expected"]


def test_what_is_wrong_says_what_to_look_at() -> None:
    said = judged([replace(record("violated", "cnn"), nearest="D1", again="fishergauge peers")], [FINDING], [])[0].text()
    for part in (
        "new  T1 of lib/fisher on cnn (float64)",
        "lib_scale",
        "measured 1, bound 0.5",
        "why",
        "where",
        "D1",
        "again: f",
    ):
        assert part in said
    mended = judged([record("holds")], [FINDING], [KNOWN])[0].text()
    assert "not any more" in mended
    assert "where" not in mended


def test_renewed_cells_are_those_of_the_run_and_those_that_it_left_out() -> None:
    other = KNOWN._replace(problem="left-out")
    gone = KNOWN._replace(problem="gone")
    old = [KNOWN, other, gone]
    records = [record("holds"), record("violated", "cnn"), record("violated", "mlp", "T2")]
    cells = judged(records, [FINDING], old, lambda known: known != other)
    assert renewed(cells, [FINDING], old) == [other, KNOWN._replace(problem="cnn")]


def test_counts_are_in_the_order_of_the_statuses() -> None:
    cells = [Cell(record("holds"), status) for status in list(STATUSES)[::-1]]
    assert list(counts(cells)) == list(STATUSES)
    assert set(STATUSES) >= WRONG
