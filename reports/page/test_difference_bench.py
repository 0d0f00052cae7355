"""What changed in the benchmarks: counted cost and memory are judged, by records and by rows of the page alike; time is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page import difference_bench
from fishergauge.reports.page.difference_change import Circumstances, Found
from fishergauge.reports.page.part import Part
from fishergauge.suites.benchmarks.record import BenchRecord, write_records

SAME, OTHER = Circumstances(), Circumstances(same=False)


def said(found: Found) -> list[tuple[str, str, str, bool]]:
    return [(change.kind, change.what, change.text, change.red) for change in found.changes]


def _benched(tmp_path: Path, old: list[BenchRecord], new: list[BenchRecord]) -> tuple[Path, Path]:
    folders = (tmp_path / "old", tmp_path / "new")
    for folder, records in zip(folders, (old, new), strict=True):
        (folder / "bench").mkdir(parents=True)
        write_records(records, folder / difference_bench.RECORDS)
    return folders


MINE = BenchRecord(
    "mine",
    "ggn",
    "dense",
    "mlp",
    "float64",
    "cpu",
    flops=100,
    peak_bytes=1000,
    median_seconds=1.0,
    verified=True,
    machine={"torch": "2"},
)
PART = Part("bench", "", "", {"rows": []})
WHAT = "mine ggn/dense on mlp (float64, cpu)"


@pytest.mark.parametrize(
    ("changed", "kind", "text", "red"),
    [
        ({"flops": 101}, "cost", "FLOPs 100 -> 101, 1.01 times", True),
        ({"flops": 99}, "improvement", "FLOPs 100 -> 99, 0.99 times", False),
        ({"peak_bytes": 2000}, "cost", "peak 0.001 MB -> 0.002 MB, 2 times, above 1.05", True),
        ({"verified": False, "reason": "wrong"}, "regression", "was verified, is wrong: wrong", True),
        ({"flops": None}, "vanished", "no longer measured: FLOPs", True),
    ],
)
def test_counted_cost_is_judged(changed: dict[str, Any], kind: str, text: str, red: bool, tmp_path: Path) -> None:
    found = difference_bench.by_records(PART, PART, _benched(tmp_path, [MINE], [replace(MINE, **changed)]), SAME)
    assert found is not None
    (change,) = found.changes
    assert (change.kind, change.what, change.text, change.red) == (kind, WHAT, text, red)
    assert change.counted == (changed.get("verified") is False)


def test_time_and_memory_on_another_build_are_not_judged(tmp_path: Path) -> None:
    other = replace(MINE, median_seconds=9.0, peak_bytes=9000, machine={"torch": "3"})
    found = difference_bench.by_records(PART, PART, _benched(tmp_path, [MINE], [other]), SAME)
    assert found is not None
    assert found.changes == ()


def shown(**changed: Any) -> Part:
    row = {"task": "ggn/dense", "implementation": "mine", "kind": "subject", "result": "ok", "red": False, "flops": 100}
    row |= {"passes": "1+2", "peak_bytes": 1000, "timed_seconds": 0.5}
    other = {**row, "implementation": "fishergauge", "kind": "reference"}
    problem = {"name": "mlp", "dtype": "float64", "device": "cpu", "left_out": changed.pop("left_out", 0)}
    growth = [{"implementation": "mine", "task": "ggn/dense", "family": "mlp", "wrong": changed.pop("wrong", [])}]
    rows = [other] if changed.pop("gone", False) else [{**row, **changed}, other]
    return Part("bench", "", "", {"problems": [{**problem, "rows": rows}], "growth": growth})


@pytest.mark.parametrize(
    ("changed", "kind", "text", "red"),
    [
        ({"flops": 101}, "cost", "FLOPs 100 -> 101, 1.01 times", True),
        ({"passes": "2+2"}, "cost", "forward passes 1 -> 2, 2 times", True),
        ({"passes": "1+-"}, "vanished", "no longer measured: backward passes", True),
        ({"peak_bytes": 2000}, "cost", "peak 0.001 MB -> 0.002 MB, 2 times, above 1.05", True),
        ({"result": "WRONG", "red": True, "reason": "no"}, "regression", "was verified, is wrong: no", True),
        ({"result": "unchecked"}, "regression", "was verified, is not compared any more", True),
    ],
)
def test_rows_are_judged_as_records_are(changed: dict[str, Any], kind: str, text: str, red: bool) -> None:
    found = difference_bench.bench(shown(), shown(**changed), SAME)
    assert said(found) == [(kind, WHAT, text, red)]
    assert difference_bench.bench(shown(), shown(timed_seconds=9.0), SAME) == Found((), 2, "benchmark")


def test_an_implementation_that_came_or_went_is_told_once() -> None:
    gone = [("vanished", "mine", "not measured any more, with 1 benchmark", True)]
    assert said(difference_bench.bench(shown(), shown(gone=True), SAME)) == gone
    assert [one.kind for one in difference_bench.bench(shown(), shown(gone=True), OTHER).changes] == ["note"]
    come = [("new", "mine", "not in the earlier report, with 1 benchmark", False)]
    assert said(difference_bench.bench(shown(gone=True), shown(), SAME)) == come
    wrong = difference_bench.bench(shown(gone=True), shown(red=True, result="WRONG", reason="no"), SAME)
    assert [(one.kind, one.red, one.counted) for one in wrong.changes] == [("new", True, True), ("new", False, False)]


def test_rows_that_the_page_leaves_out_raise_no_alarm() -> None:
    found = difference_bench.bench(shown(), shown(gone=True, left_out=2), SAME)
    assert [(change.kind, change.red) for change in found.changes] == [("note", False)]
    another = difference_bench.bench(shown(), shown(flops=200, peak_bytes=5000), Circumstances(same_torch=False))
    assert [(change.kind, change.red) for change in another.changes] == [("note", False)]


def test_a_task_that_is_not_shown_any_more_has_vanished_for_subjects_alone() -> None:
    old, new = shown(), shown(task="kfac/dense")
    (problem,) = new.data["problems"]
    only = replace(new, data={**new.data, "problems": [{**problem, "rows": problem["rows"][:1]}]})
    found = difference_bench.bench(old, only, SAME)
    assert [(change.kind, change.what, change.red) for change in found.changes] == [
        ("vanished", "The earlier report", True),
        ("note", "", False),
    ]
    other = replace(
        old, data={**old.data, "problems": [{**problem, "rows": [dict(row, kind="reference") for row in problem["rows"]]}]}
    )
    assert [change.kind for change in difference_bench.bench(other, only, SAME).changes] == ["note"]


def test_growth_against_theory() -> None:
    right, wrong = shown(), shown(wrong=["flops grow as N^2.0, not N"])
    assert said(difference_bench.bench(right, wrong, SAME)) == [
        ("regression", "mine ggn/dense on mlp", "flops grow as N^2.0, not N", True)
    ]
    assert said(difference_bench.bench(wrong, right, SAME))[0][0] == "improvement"
    assert [change.red for change in difference_bench.bench(wrong, shown(wrong=["as N^2.1"]), SAME).changes] == [False]


def test_benchmarks_of_another_subject(tmp_path: Path) -> None:
    folders = _benched(tmp_path, [MINE, replace(MINE, implementation="other")], [MINE])
    kinds = {
        same: [(one.kind, one.red) for one in found.changes]
        for same in (True, False)
        if (found := difference_bench.by_records(PART, PART, folders, Circumstances(same=same)))
    }
    assert kinds == {True: [("vanished", True)], False: [("note", False)]}


def test_benchmarks_without_records_are_not_compared(tmp_path: Path) -> None:
    assert difference_bench.by_records(PART, PART, (tmp_path, tmp_path), SAME) is None
    folders = _benched(tmp_path, [MINE], [replace(MINE, implementation="other")])
    kinds = [
        [(one.kind, one.red) for one in found.changes]
        for about in (SAME, OTHER)
        if (found := difference_bench.by_records(PART, PART, folders, about))
    ]
    assert kinds == [[("new", False), ("vanished", True)], [("new", False), ("note", False)]]


def test_benchmarks_on_other_problems(tmp_path: Path) -> None:
    folders = _benched(tmp_path, [MINE], [replace(MINE, problem="cnn")])
    kinds = [
        [(one.kind, one.red) for one in found.changes]
        for about in (SAME, OTHER)
        if (found := difference_bench.by_records(PART, PART, folders, about))
    ]
    assert kinds == [[("vanished", True)], []]


def test_what_was_wrong_before_is_no_change(tmp_path: Path) -> None:
    bad = replace(MINE, verified=False, reason="wrong")
    found = difference_bench.by_records(PART, PART, _benched(tmp_path, [bad], [bad]), SAME)
    assert found == Found((), 1, "benchmark")
