"""``fishergauge selftest`` prints the table and fails where something is wrong with the kit."""

from pathlib import Path

import pytest

from fishergauge.reports import cli, selftest_command
from fishergauge.suites.meta import selftest
from fishergauge.suites.meta.selftest import Row
from fishergauge.suites.record import Record

ROWS = [Row("D1", ("T4", "T1"), {"T4": "mlp-tanh-softmax"}), Row("P246", (), {}, "the process ended"), Row("P243", ("T1",), {})]


def test_the_table_says_what_sees_what(tmp_path: Path) -> None:
    text = selftest_command.table_text(ROWS)
    assert "D1     gradients of the mean loss squared: T4" in text
    assert "P246" in text
    assert "its process: the process ended" in text
    assert "P243   prints: NOT SEEN" in text
    file = tmp_path / "table.csv"
    selftest_command.write_table(ROWS, file)
    head, first, *_ = file.read_text().splitlines()
    assert head.startswith("defect,T1,T2,T3,T4")
    assert first.startswith("D1,0,,,1")


@pytest.mark.parametrize(("wrong", "red"), [(False, False), (True, False), (False, True)])
def test_the_exit_code_says_whether_the_kit_is_right(
    wrong: bool, red: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = (Record("exact-fisher", "T1", "mlp", verdict="violated", witness="a witness"),) if red else ()
    monkeypatch.setattr(selftest, "defect_rows", lambda jobs: ROWS)
    monkeypatch.setattr(selftest, "complaints", lambda rows: ["P4 is not seen by any of 9 claims"] if wrong else [])
    monkeypatch.setattr(selftest, "cleared", lambda seeds, quick, jobs: [(0, "float64", "exact-fisher", 10, records)])
    assert cli.main(["selftest", "-j", "1"]) == int(wrong or red)
    printed = capsys.readouterr().out
    assert ("P4 is not seen" in printed) == wrong
    assert ("exact-fisher, which is right, is violated in T1 on mlp" in printed) == red
    assert "3 planted defects, 2 seen" in printed


@pytest.mark.parametrize("number", ["many", "0", "-1"])
@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
def test_a_number_that_is_none_or_leaves_nothing_to_do_is_refused(option: str, number: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["selftest", option, number])
