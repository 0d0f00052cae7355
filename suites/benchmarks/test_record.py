"""What a run wrote is read again, and what no run writes is refused with cause and remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from fishergauge.suites.benchmarks.record import BenchRecord, RecordError, line, read_records, write_records

RECORD = BenchRecord(
    "mine",
    "ggn",
    "dense",
    "mlp-small",
    "float64",
    "cpu",
    flops=7,
    deviation=0.0,
    limit_flops=3,
    verified=True,
    machine={"cpu": "x"},
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flops", "many"),
        ("flops", True),
        ("flops", -5),
        ("flops", 1.5),
        ("median_seconds", "long"),
        ("median_seconds", -1.0),
        ("verified", "yes"),
        ("verified", 1),
        ("problem", ["mlp-small"]),
        ("implementation", None),
        ("machine", 3),
        ("versions", None),
        ("rounds", None),
    ],
)
def test_what_no_run_writes_is_refused(field: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    path.write_text(line(RECORD) + "\n" + json.dumps({**json.loads(line(RECORD)), field: value}) + "\n")
    with pytest.raises(RecordError, match=rf"line 2: {field} is .*; measure the baseline anew"):
        read_records(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (line(RECORD).replace('"flops": 7', '"flops": NaN'), "no record of fishergauge bench"),
        (line(RECORD).replace('"flops": 7', '"flops": Infinity'), "no record of fishergauge bench"),
        (line(RECORD)[:-9], "no record of fishergauge bench"),
        ("[1]", "no record of fishergauge bench"),
        (line(RECORD).replace('"schema": 1', '"schema": 2'), "schema 2, this version reads 1"),
        (line(RECORD).replace('"flops"', '"flips"'), "unknown fields flips"),
        ('{"schema": 1}', "missing 6 required positional arguments"),
    ],
)
def test_another_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError, match=said):
        read_records(path)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    write_records([RECORD, RECORD], path)
    path.write_text("\n \r\n" + path.read_text().replace("\n", "\r\n"))
    assert read_records(path) == [RECORD, RECORD]


def test_the_line_of_a_run_that_was_killed_is_left_out_on_demand_only(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    path.write_text(line(RECORD) + "\n" + line(RECORD)[:-9])
    assert read_records(path, unfinished=True) == [RECORD]
    with pytest.raises(RecordError, match="line 2"):
        read_records(path)
    path.write_text(line(RECORD) + "\n")
    assert read_records(path, unfinished=True) == [RECORD]
