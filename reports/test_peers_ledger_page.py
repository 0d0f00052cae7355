"""The page of the ledger says what the ledger says."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from fishergauge.reports.peers_ledger_page import ledger_page
from fishergauge.suites.peers.expected_cells import ExpectedCell, read_expected
from fishergauge.suites.peers.ledger import FINDINGS, LedgerFinding, read_ledger

SCALE = LedgerFinding("lib_scale", "lib", "1", "the Fisher is doubled", "defect", "lib.py", "It adds\ntwice.", "1", "2")
HAND = replace(SCALE, id="lib_hooks", kind="accepted-silently", title="hooks stay", upstream="https://example.org/1")
CELLS = [ExpectedCell("lib/f", "T1", problem, "float64", "violated", "lib_scale") for problem in ("mlp", "cnn")]


def test_every_finding_stands_there_with_its_figures_and_cells() -> None:
    page = ledger_page([SCALE, HAND], CELLS)
    entry = (
        "**[lib_scale](lib_scale.py)** (defect, 2 red cells). The Fisher is doubled. It adds twice. Expected `1`, found `2`."
    )
    assert entry in page
    assert "(accepted-silently, found by hand). Hooks stay." in page
    assert "Reported: https://example.org/1." in page
    assert "| lib | 2 | 1 | 1 | 2 |" in page


@pytest.mark.parametrize("change", [{"expected": "3"}, {"title": "halved"}, {"kind": "numerical"}, {"where": "other.py"}])
def test_a_change_of_the_ledger_changes_the_page(change: Mapping[str, str]) -> None:
    assert ledger_page([replace(SCALE, **change)], CELLS) != ledger_page([SCALE], CELLS)  # type: ignore[arg-type]
    assert ledger_page([SCALE], CELLS[:1]) != ledger_page([SCALE], CELLS)


def test_the_page_in_the_folder_is_that_of_the_ledger() -> None:
    page = FINDINGS / "README.md"
    assert page.read_text(encoding="utf-8") == ledger_page(read_ledger(), read_expected()), (
        "renew it: fishergauge peers --update"
    )
