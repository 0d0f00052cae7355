"""The tables of the documentation: sums and maxima over the records of a run, and products that were measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from fishergauge.suites.probes.large.measured import main, markdown, power_table, product_table, run_table


def _record(claim: str, **changes: Any) -> dict[str, Any]:
    found = {"subject": "mine", "problem": "mlp-1e4", "dtype": "float64", "claim": claim, "verdict": "holds", "seconds": 1.5}
    found |= {"num_parameters": 10_000, "peak_bytes": 800_000, "products": 8, "exact_products": 3, "power": None, "seen": ""}
    return found | changes


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_a_run_is_one_line_with_sums_of_time_and_products_and_the_largest_peak() -> None:
    records = [
        _record("probe-linear"),
        _record("probe-exact", verdict="violated", peak_bytes=4_000_000, products=5),
        _record("probe-psd", verdict="error", num_parameters=0, peak_bytes=None, products=0, exact_products=0),
        _record("probe-bias", verdict="not-claimed"),
        _record("probe-linear", problem="mlp-1e5", num_parameters=100_000),
        _record("probe-linear", subject="other"),
    ]
    first, second, third = _cells(run_table(records))
    assert first == ["mine", "mlp-1e4", "10,000", "float64", "1 hold, 2 do not: exact, psd", "21 and 9", "6", "0.0037", "400"]
    assert second[1:3] == ["mlp-1e5", "100,000"]
    assert second[4] == "1 hold"
    assert second[-1] == "8"
    assert third[0] == "other"


def test_powers_stand_by_problem_the_worst_of_several_subjects() -> None:
    records = [
        _record("probe-linear"),
        _record("probe-psd", power=0.05, seen="of |A|; but not so"),
        _record("probe-psd", power=0.07, seen="of |A|", subject="other"),
        _record("probe-psd", power=3.0, seen="of tr A", subject="third"),
        _record("probe-exact", power=1e-11, problem="mlp-1e5", seen="of M"),
    ]
    assert _cells(power_table(records)) == [
        ["probe-psd", "0.07", "-", r"of \|A\|"],
        ["probe-psd", "3", "-", "of tr A"],
        ["probe-exact", "-", "1e-11", "of M"],
    ]


def test_products_are_measured_on_problems_by_name() -> None:
    rows = _cells(product_table(["mlp-1e4"], "float32"))
    assert [row[2] for row in rows] == ["ggn", "hessian", "kfac"]
    for row in rows:
        assert row[:2] == ["mlp-1e4", "9,760"]
        assert float(row[5]) * 2**20 == pytest.approx(float(row[6]) * 9760 * 4, rel=0.1)
        assert float(row[3]) > 0 < float(row[4])
        assert 2 < float(row[6]) < 20


def test_records_files_are_printed_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    files[0].write_text(json.dumps(_record("probe-psd", power=0.05)) + "\n")
    files[1].write_text(json.dumps(_record("probe-psd", power=0.06, subject="other")) + "\n\n")
    main([str(file) for file in files])
    out = capsys.readouterr().out
    assert "| mine | mlp-1e4 |" in out
    assert "| other | mlp-1e4 |" in out
    assert "| probe-psd | 0.06 |" in out
    assert markdown(("subject",), []).splitlines() == ["| subject |", "| --- |"]
