"""The tables of planted defects and probes."""

from pathlib import Path

from fishergauge.reports.probe_tables import summary, table_text, verdict, write_probe_table
from fishergauge.suites.meta.probe_selftest import ProbeRow

SEEN = ProbeRow("P4", "planted-softmax", 9175, 1.5e10, "probe-exact", 0.01, 6.8e-13, "a block")
MISSED = ProbeRow("P230", "planted-softmax", 9175)
ENDED = ProbeRow("P246", "planted-softmax", fatal="the process ended with exit code 3")
ROWS = (SEEN, MISSED, ENDED)
TITLES = {"P4": "one per cent too large", "P230": "leaves gradients behind", "P246": "ends the process"}
BLIND = {"P230": "it does not depend on size"}


def test_the_table_says_what_became_of_each_defect() -> None:
    text = table_text(ROWS, TITLES, BLIND)
    assert "P4     one per cent too large: probe-exact on planted-softmax, P = 9,175 (0.01, bound 6.8e-13)" in text
    assert "P230   leaves gradients behind: not seen: it does not depend on size" in text
    assert "P246   ends the process: its process: the process ended with exit code 3" in text
    counts = [line.split() for line in text.splitlines()[-2:]]
    assert counts == [["probe-exact", "1"], ["the", "end", "of", "the", "process", "1"]]


def test_a_defect_without_a_reason_is_shouted_and_one_that_is_right_is_none() -> None:
    assert verdict(MISSED, {}) == "NOT SEEN"
    assert verdict(ProbeRow("P4"), BLIND) == "cannot be made on any of the problems"
    assert verdict(ProbeRow("P4", "planted-softmax", 9, 0.5), BLIND) == "cannot be made on any of the problems"


def test_the_summary_counts_what_is_red_on_arrays() -> None:
    text = "3 planted defects with a red dense verdict: 2 seen, 1 not; 0 complaints"
    assert summary(ROWS, []) == summary((*ROWS, ProbeRow("P38")), []) == text


def test_the_file_has_a_row_a_defect(tmp_path: Path) -> None:
    write_probe_table(ROWS, TITLES, BLIND, tmp_path / "table.csv")
    head, first, second, third = (tmp_path / "table.csv").read_text().splitlines()
    assert head == "defect,title,problem,P,dense,seen,measured,bound,reason"
    assert first == "P4,one per cent too large,planted-softmax,9175,1.5e+10,probe-exact,0.01,6.8e-13,"
    assert second == "P230,leaves gradients behind,planted-softmax,9175,,,,,it does not depend on size"
    assert third.endswith(",the process ended with exit code 3")
