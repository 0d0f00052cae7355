"""Tables, summaries and charts say what the records say."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fishergauge.reports.bench_github import entries, write_entries
from fishergauge.reports.bench_tables import HEAD, markdown, scaled, seconds, sections, summary_line, write_table
from fishergauge.suites.benchmarks.record import BenchRecord

BASE = BenchRecord(
    "fishergauge",
    "ggn",
    "dense",
    "mlp-small",
    "float64",
    "cpu",
    sizes={"N": 250, "P": 978, "C": 10},
    median_seconds=0.004,
    fastest_seconds=0.003,
    rounds=7,
    peak_bytes=31_000_000,
    flops=12_345_678,
    forward_passes=1,
    backward_passes=10,
    limit_seconds=0.001,
    verified=True,
    versions={"torch": "2.13.0"},
    machine={"cpu": "a|b", "threads": 2, "gpu": "", "torch": "2.13.0+cpu"},
)
SLOW = replace(BASE, implementation="nngeometry", kind="peer", median_seconds=0.01)
WRONG = replace(
    BASE, implementation="asdl", kind="peer", median_seconds=0.001, verified=False, deviation=0.5, bound=1e-9, against="plain"
)
REFUSED = BenchRecord("backpack", "ggn", "dense", "mlp-small", "float64", "cpu", kind="backpack", reason="no rule for it")
OTHER = replace(BASE, operation="diagonal", median_seconds=None, fastest_seconds=None, limit_seconds=None, rounds=0)
ABSENT = BenchRecord("fishergauge", "ggn", "dense", "mlp-small", "float64", "cuda", reason="not measured: no device (torch 2)")


def test_the_implementations_of_a_task_are_sorted_by_median_and_compared_with_the_fastest_right_one() -> None:
    (section,) = sections([SLOW, WRONG, OTHER, REFUSED, BASE])
    assert section.title == "mlp-small (float64, cpu, N = 250, P = 978, C = 10)"
    assert section.head == HEAD
    assert section.rows == [
        ["ggn/dense", "asdl", "1 ms", "0.2", "100 %", "12.3 M", "1+10", "31 MB", "WRONG"],
        ["", "fishergauge", "4 ms", "1.0", "25 %", "12.3 M", "1+10", "31 MB", "ok"],
        ["", "nngeometry", "10 ms", "2.5", "10 %", "12.3 M", "1+10", "31 MB", "ok"],
        ["", "backpack", "-", "-", "-", "-", "-", "-", "refused"],
        ["ggn/diagonal", "fishergauge", "-", "-", "-", "12.3 M", "1+10", "31 MB", "ok"],
    ]
    assert section.below == [
        "WRONG: asdl ggn/dense: deviation 0.5 from plain, bound 1e-9.",
        "no rule for it: backpack ggn/dense.",
    ]


def test_without_any_time_its_columns_are_left_out() -> None:
    (section,) = sections([OTHER])
    assert section.head == ("task", "implementation", "FLOPs", "passes", "memory", "result")
    assert section.rows == [["ggn/diagonal", "fishergauge", "12.3 M", "1+10", "31 MB", "ok"]]


def test_what_raised_an_error_is_not_called_wrong() -> None:
    (section,) = sections([replace(WRONG, reason="error in a later call: ValueError", deviation=1e-15)])
    assert section.rows[0][-1] == "FAILED"
    assert section.below == ["FAILED: asdl ggn/dense: error in a later call: ValueError."]
    assert sections([replace(WRONG, deviation=None)])[0].below == ["WRONG: asdl ggn/dense: no reason recorded."]


def test_red_results_with_the_same_reason_share_a_line() -> None:
    failed = [replace(WRONG, quantity=f"q{n}", reason="error: ValueError: no", deviation=None) for n in range(6)]
    wrong = [replace(WRONG, quantity=f"w{n}", reason="wrong, and not timed", deviation=n / 10) for n in range(3)]
    (section,) = sections([*failed[:3], *wrong, *failed[3:]])
    assert section.below == [
        "FAILED: 6 benchmarks: asdl q0/dense, asdl q1/dense, asdl q2/dense, asdl q3/dense and 2 more: error: ValueError: no.",
        "WRONG: asdl w0/dense, asdl w1/dense, asdl w2/dense: wrong, and not timed; deviation up to 0.2 from plain, bound 1e-9.",
    ]


def test_a_task_that_all_refuse_is_named_below_and_a_missing_device_has_rows() -> None:
    (section,) = sections([REFUSED, replace(REFUSED, operation="blocks")])
    assert (section.head, section.rows) == ((), [])
    assert section.below == ["no rule for it: backpack ggn/dense, backpack ggn/blocks."]
    (section,) = sections([ABSENT])
    assert section.rows == [["ggn/dense", "fishergauge", "-", "-", "-", "no device"]]
    assert section.below == ["not measured: no device (torch 2): fishergauge ggn/dense."]


def test_problems_precisions_and_devices_have_tables_of_their_own() -> None:
    records = [BASE, replace(BASE, dtype="float32"), replace(BASE, problem="cnn-small"), ABSENT]
    assert len(sections(records)) == 4
    assert [section.title.split(",")[0] for section in sections(records)][:2] == ["mlp-small (float64", "mlp-small (float32"]


def test_what_was_not_compared_is_not_called_right() -> None:
    assert sections([replace(BASE, verified=None)])[0].rows[0][-1] == "unchecked"
    assert sections([replace(BASE, verified=None, median_seconds=None)])[0].rows[0][-1] == "unchecked"


def test_the_longest_names_fit_into_120_columns() -> None:
    long = replace(BASE, implementation="fishergauge:closed-form", quantity="eigen-kfac-separate", operation="first-product")
    worst = replace(
        long, median_seconds=1.23456e-5, flops=123_456_789, peak_bytes=123_456_789, forward_passes=100, backward_passes=100
    )
    slow = replace(worst, implementation="curvlinops:make_fx", median_seconds=123.4)
    lines = sections([worst, slow])[0].text().splitlines()
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "-"),
        (0.0, "0 ns"),
        (2e-9, "2 ns"),
        (0.9999e-3, "1 ms"),
        (1.0, "1 s"),
        (999.0, "999 s"),
    ],
)
def test_times_in_their_unit(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (math.nan, "-"), (0, "0"), (999, "999"), (1000, "1 k"), (999_999, "1 M"), (1.5e9, "1.5 G"), (3e13, "30 T")],
)
def test_counts_with_their_prefix(value: float | None, shown: str) -> None:
    assert scaled(value) == shown


@pytest.mark.parametrize(("limit", "shown"), [(0.004, "100 %"), (0.0005, "12 %"), (0.00035, "8.8 %"), (1e-6, "0.025 %")])
def test_shares_of_the_limit(limit: float, shown: str) -> None:
    assert sections([replace(BASE, limit_seconds=limit)])[0].rows[0][4] == shown


def test_the_summary_counts_outcomes() -> None:
    records = [BASE, SLOW, WRONG, REFUSED, OTHER, ABSENT]
    text = "6 benchmarks: 4 measured, 3 timed, 3 verified, 1 refused, 1 red, 1 without a device"
    assert summary_line(records) == text
    assert summary_line(records, 12.34) == f"{text}; 12.3 s"
    assert summary_line([BASE]) == "1 benchmark: 1 measured, 1 timed, 1 verified, 0 refused, 0 red"


def test_the_document_escapes_pipes_and_begins_with_the_verdict() -> None:
    piped = replace(BASE, implementation="a|b")
    text = markdown([piped, REFUSED], ["red  something"])
    assert text.startswith("# Benchmarks\n\n2 benchmarks: 1 measured")
    assert "```text\nred  something\n```" in text
    row = next(line for line in text.splitlines() if "a\\|b" in line)
    assert row.replace("\\|", "").count("|") == len(HEAD) + 1
    assert "## mlp-small (float64, cpu" in text
    assert "```" not in markdown([BASE])


def test_the_spreadsheet_has_a_row_a_record(tmp_path: Path) -> None:
    with write_table([BASE, REFUSED], tmp_path / "bench.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["implementation"] for row in rows] == ["fishergauge", "backpack"]
    assert (rows[0]["P"], rows[0]["median_seconds"], rows[0]["verified"]) == ("978", "0.004", "True")
    assert (rows[1]["P"], rows[1]["median_seconds"], rows[1]["reason"]) == ("", "", "no rule for it")
    assert not {"machine", "versions", "sizes"} & set(rows[0])


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def test_the_chart_has_time_flops_and_memory_in_strict_json(tmp_path: Path) -> None:
    broken = replace(SLOW, median_seconds=math.nan, flops=None, peak_bytes=5, fastest_seconds=math.inf)
    path = write_entries([BASE, broken, WRONG, REFUSED, ABSENT], tmp_path / "chart.json")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    key = "fishergauge ggn/dense on mlp-small (float64, cpu)"
    assert [(one["name"], one["unit"], one["value"]) for one in found] == [
        (f"{key}: time", "s", 0.004),
        (f"{key}: FLOPs", "FLOPs", 12_345_678),
        (f"{key}: memory", "B", 31_000_000),
        ("nngeometry ggn/dense on mlp-small (float64, cpu): memory", "B", 5),
    ]
    assert found[0]["range"] == "± 0.001"
    assert "range" not in found[1]
    assert found[0]["extra"] == "verified, 7 rounds\ncpu a|b, threads 2, torch 2.13.0+cpu"
    assert "range" not in entries([replace(BASE, fastest_seconds=math.nan)])[0]


def test_no_chart_is_an_empty_list(tmp_path: Path) -> None:
    assert json.loads(write_entries([REFUSED], tmp_path / "chart.json").read_text()) == []
