"""The table of planted defects and claims, on a part of it; ``fishergauge selftest`` makes the whole."""

import pytest

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.meta.bank import BANK
from fishergauge.suites.meta.selftest import BARE, KEPT, NOTED, Row, cleared, complaints, defect_rows, needed

SAMPLE = ["D1", "D7", "D13", f"D13{BARE}", "P170", "P246", "P243", "P262", "P267"]


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.defect: row for row in defect_rows(jobs=1, ids=SAMPLE)}


def test_what_each_defect_turns_red_is_found(rows: dict[str, Row]) -> None:
    assert {"T4", "T26-duplicated"} <= rows["D1"].caught.keys()
    assert "T26-symmetric" in rows["P170"].caught
    assert "MC-single-sample" in rows["P262"].caught
    assert "S3" in rows["P267"].caught
    assert not rows["P243"].caught


def test_a_mistake_that_the_reference_shares_is_seen_by_the_oracles_alone(rows: dict[str, Row]) -> None:
    assert "T1" in rows["D7"].made
    assert "T1" not in rows["D7"].caught
    assert {"T3", "T15", "T17", "T20"} <= rows["D7"].caught.keys()


def test_without_a_structure_the_axioms_still_see(rows: dict[str, Row]) -> None:
    assert "T1" not in rows[f"D13{BARE}"].made
    assert "T26-batches" in rows[f"D13{BARE}"].caught


def test_one_that_ends_its_process_is_seen_all_the_same(rows: dict[str, Row]) -> None:
    assert BANK["P246"].fatal
    assert "exit code" in rows["P246"].fatal
    assert rows["P246"].seen


def test_an_unseen_defect_and_an_idle_claim_are_complaints() -> None:
    unseen = Row("D1", ("T4",), {})
    assert "D1 is not seen by any of 1 claims" in complaints([unseen])
    assert len(complaints([unseen])) == 1 + len(CLAIMS) - len(KEPT)
    assert complaints([Row("P243", ("T4",), {})]) == complaints([])
    assert set(NOTED) <= BANK.keys()
    assert KEPT.keys() <= CLAIMS.keys()


def test_a_claim_is_needed_where_no_cheaper_one_sees() -> None:
    cheap, dear = "T1", "T26-batches"
    assert CLAIMS[cheap].cost < CLAIMS[dear].cost
    found = needed([Row("D1", (), {cheap: "x", dear: "x"}), Row("D3", (), {dear: "x"})])
    assert found[cheap] == ["D1"]
    assert found[dear] == ["D3"]


def test_correct_subjects_are_cleared_on_a_seed_of_their_own() -> None:
    found = list(cleared([7], ["float64"], quick=True))
    assert len(found) > 25
    assert sum(count for *_, count, _ in found) > 3000
    assert [red for *_, red in found if red] == []
