"""Planted defects go through the probes: seen, or said to be invisible; ``fishergauge selftest --probes`` does all of them."""

import pytest

from fishergauge.suites.meta.bank import BANK
from fishergauge.suites.meta.probe_blind import BLIND
from fishergauge.suites.meta.probe_problems import BUILDERS, probe_problem
from fishergauge.suites.meta.probe_selftest import ProbeRow, defect_row, place, probe_complaints, probe_rows, probes_cleared
from fishergauge.suites.zoo.declared import untrue_facts

SAMPLE = {
    "P4": "probe-exact",
    "P53": "probe-exact",
    "D1": "probe-factors",
    "D30": "probe-factors",
    "P166": "probe-diagonal",
    "P161": "probe-leak",
    "P149": "probe-symmetric",
    "D45": "probe-linear",
    "P250": "probe-symmetric",
    "P212": "probe-solve",
}
UNSEEN = ("P230", "P277")


@pytest.fixture(scope="module")
def rows() -> dict[str, ProbeRow]:
    return {row.defect: row for row in probe_rows("small", [*SAMPLE, *UNSEEN, "P246"])}


def test_each_defect_is_seen_by_the_probe_that_looks_at_it_first(rows: dict[str, ProbeRow]) -> None:
    assert {id: rows[id].seen for id in SAMPLE} == SAMPLE
    assert all(rows[id].red for id in rows)
    assert "exit code 3" in rows["P246"].fatal
    assert probe_complaints(list(rows.values())) == []


def test_the_dense_verdict_is_that_of_the_entries(rows: dict[str, ProbeRow]) -> None:
    slack = rows["P4"].dense
    assert slack is not None
    assert slack == pytest.approx(0.01 / rows["P4"].bound, rel=0.05)  # type: ignore[operator]
    assert rows["P4"].measured == pytest.approx(0.01, rel=1e-6)
    assert rows["P212"].dense is None  # a matter of solve


def test_what_is_not_seen_has_a_reason_and_what_has_one_is_not_seen(rows: dict[str, ProbeRow]) -> None:
    assert [rows[id].seen for id in UNSEEN] == ["", ""]
    assert set(UNSEEN) <= BLIND.keys() <= BANK.keys()
    assert all(reason.strip() for reason in BLIND.values())
    missed, found = ProbeRow("P4", "planted-softmax", 9, 1e9), ProbeRow("P230", "planted-softmax", 9, None, "probe-exact")
    assert probe_complaints([missed]) == ["P4 is seen by no probe on planted-softmax, and nothing says why"]
    assert probe_complaints([found]) == ["P230 is said to be invisible to probes, and probe-exact sees it"]
    assert probe_complaints([], {"P4711": "?"}) == ["P4711 is no planted defect"]
    assert probe_complaints([ProbeRow("P4", "planted-softmax", 9, 0.5)]) == []  # nor is it seen in the entries


def test_the_problems_are_what_they_declare_and_of_the_size_that_they_say() -> None:
    for name in BUILDERS:
        assert untrue_facts(probe_problem(name, "small")) == ()
        assert 8e3 < probe_problem(name).num_parameters < 1e4
        assert 1e3 < probe_problem(name, "1e3").num_parameters < 2e3


def test_a_mistake_is_put_where_it_can_be_made() -> None:
    assert place(BANK["P53"]) == "planted-binary"
    assert place(BANK["P3"]) == "planted-summed"
    assert place(BANK["D30"]) == "planted-convolution"
    assert defect_row("P53", "small").problem == "planted-binary"


def test_correct_subjects_are_cleared() -> None:
    found = list(probes_cleared("small", ["ggn-operator", "kfac-separate", "fisher-diagonal"], ["planted-softmax"]))
    assert [(name, problem) for name, problem, *_ in found] == [
        (name, "planted-softmax") for name in ("ggn-operator", "kfac-separate", "fisher-diagonal")
    ]
    assert all(count >= 5 for *_, count, _ in found)
    assert [red for *_, red in found if red] == []
