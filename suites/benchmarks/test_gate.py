"""The gate is red for more cost, more memory, what vanished and what is wrong, and for nothing else."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from fishergauge.reference import Problem, ggn
from fishergauge.suites.benchmarks.gate import GateError, compare, measured
from fishergauge.suites.benchmarks.gate_report import KINDS, TITLES, GateReport
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.measurement import measure
from fishergauge.suites.benchmarks.problems import Bench, perceptron
from fishergauge.suites.benchmarks.record import BenchRecord, read_records, write_records
from fishergauge.suites.benchmarks.task import Task

MACHINE = {"cpu": "a", "cores": 2, "threads": 1, "gpu": "", "torch": "2.13.0+cpu", "cuda": "", "platform": "x", "python": "3"}
VERSIONS = {"torch": "2.13.0", "fishergauge": "0.1.0", "curvlinops-for-pytorch": "3.0"}
BASE = BenchRecord(
    "fishergauge",
    "ggn",
    "dense",
    "mlp-small",
    "float64",
    "cpu",
    median_seconds=1.0,
    fastest_seconds=0.9,
    rounds=5,
    peak_bytes=10_000_000,
    flops=1000,
    forward_passes=1,
    backward_passes=2,
    verified=True,
    deviation=1e-15,
    bound=1e-12,
    versions=VERSIONS,
    machine=MACHINE,
)
PEER = replace(BASE, implementation="curvlinops", kind="peer")


def changed(**values: Any) -> BenchRecord:
    return replace(BASE, **values)


def text(report: GateReport) -> str:
    """The text of a report, its lines joined."""
    return " ".join(report.text().split())


def kinds(report: GateReport) -> dict[str, int]:
    return {kind: count for kind, count in report.counts.items() if count}


def test_an_unchanged_run_passes_and_the_text_says_why_time_is_not_judged() -> None:
    report = compare([BASE, PEER], [BASE, PEER])
    assert (report.changes, report.exit_code, report.compared) == ((), 0, 2)
    assert "time is not judged from a file" in text(report)
    assert report.text().splitlines()[-1] == "compared 2 benchmarks: no change; nothing got worse"


@pytest.mark.parametrize("name", ["flops", "forward_passes", "backward_passes"])
def test_counted_cost_is_exact(name: str) -> None:
    count = getattr(BASE, name)
    worse = compare([BASE], [changed(**{name: count + 1})])
    assert kinds(worse) == {"cost": 1}
    assert worse.exit_code == 1
    assert f"{count} -> {count + 1}, {(count + 1) / count:.4g} times" in worse.text()
    better = compare([BASE], [changed(**{name: count - 1})])
    assert kinds(better) == {"improvement": 1}
    assert better.exit_code == 0
    assert "improvements; measure the baseline anew to keep them (1)" in better.text()


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.06, {"memory": 1}), (1.04, {}), (1.05, {}), (1.0500001, {"memory": 1}), (0.96, {}), (0.94, {"improvement": 1})],
)
def test_memory_may_rise_by_five_percent(factor: float, expected: dict[str, int]) -> None:
    report = compare([BASE], [changed(peak_bytes=round(factor * 10_000_000))])
    assert kinds(report) == expected
    assert report.exit_code == ("memory" in expected)


def test_memory_where_there_was_none_is_more() -> None:
    assert compare([changed(peak_bytes=0)], [changed(peak_bytes=8)]).exit_code == 1
    assert compare([changed(peak_bytes=0)], [changed(peak_bytes=0)]).exit_code == 0


def test_what_vanished_is_red_and_what_is_new_is_not() -> None:
    report = compare([BASE, PEER], [BASE])
    assert kinds(report) == {"vanished": 1}
    assert "red curvlinops ggn/dense on mlp-small (float64, cpu): was measured, is gone" in text(report)
    assert report.exit_code == 1
    report = compare([BASE], [BASE, PEER])
    assert kinds(report) == {"new": 1}
    assert report.exit_code == 0
    report = compare([BASE], [BASE, replace(PEER, verified=False)])
    assert kinds(report) == {"new": 1}
    assert report.exit_code == 1


@pytest.mark.parametrize("name", ["flops", "forward_passes", "backward_passes", "peak_bytes"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_figure_that_is_no_longer_measured_has_vanished(name: str, value: float | None) -> None:
    report = compare([BASE], [changed(**{name: value}, reason="the counter broke")])
    assert kinds(report) == {"vanished": 1}
    assert report.exit_code == 1
    assert ": the counter broke" in text(report)
    assert compare([changed(**{name: value})], [BASE]).exit_code == 0


def test_a_record_without_any_figure_says_it_once_and_why() -> None:
    bare = {"median_seconds": None, "peak_bytes": None, "flops": None, "forward_passes": None, "backward_passes": None}
    report = compare([BASE], [changed(**bare, verified=None, reason="not measured: no device")])
    assert kinds(report) == {"wrong": 1, "vanished": 1}
    assert "no figures any more: not measured: no device" in text(report)


def test_what_was_never_measured_can_go_without_being_missed() -> None:
    refused = BenchRecord(*PEER.key, reason="no rule for it", machine=MACHINE)
    assert not measured(refused)
    assert measured(BASE)
    assert measured(replace(refused, flops=1))
    assert measured(replace(refused, peak_bytes=1))
    assert measured(replace(refused, median_seconds=1.0))
    assert measured(replace(refused, verified=False))
    report = compare([BASE, refused], [BASE])
    assert kinds(report) == {"note": 1}
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "red"),
    [
        (True, False, True),
        (None, False, True),
        (False, False, True),
        (True, None, True),
        (False, True, False),
        (None, True, False),
    ],
)
def test_a_result_may_not_become_wrong_or_unverified(old: bool | None, new: bool | None, red: bool) -> None:
    report = compare([changed(verified=old)], [changed(verified=new)])
    assert report.exit_code == red
    assert all(change.kind == "wrong" for change in report.red)


def test_the_message_of_a_wrong_result_has_measured_and_bound() -> None:
    report = compare([BASE], [changed(verified=False, deviation=0.5)])
    assert "was verified, is wrong: deviation 0.5, bound 1e-12" in text(report)


def test_time_is_a_note_and_never_red() -> None:
    report = compare([BASE], [changed(median_seconds=100.0)])
    assert kinds(report) == {"note": 1}
    assert report.exit_code == 0
    assert "time 1 s -> 100 s, 100 times, not judged" in text(report)
    assert not compare([BASE], [changed(median_seconds=1.2)]).changes
    assert not compare([BASE], [changed(median_seconds=None)]).changes
    assert len(compare([BASE], [changed(median_seconds=0.5)]).changes) == 1


@pytest.mark.parametrize(("name", "value"), [("cpu", "b"), ("gpu", "H"), ("threads", 2), ("torch", "2.13.0+cu130")])
def test_another_machine_is_refused_and_both_are_named(name: str, value: object) -> None:
    other = changed(machine={**MACHINE, name: value})
    with pytest.raises(GateError, match=r"another machine .*baseline cpu .*here cpu .*--counted-only") as raised:
        compare([BASE], [other])
    assert f"{name} {value}" in str(raised.value)
    assert compare([BASE], [changed(machine={**MACHINE, "platform": "y", "python": "4"})]).exit_code == 0


def test_every_pair_is_asked_for_its_machine() -> None:
    with pytest.raises(GateError, match="another machine"):
        compare([BASE, PEER], [BASE, replace(PEER, machine={**MACHINE, "cpu": "b"})])


@pytest.mark.parametrize(
    ("old", "new", "said"), [({}, MACHINE, "the baseline does not"), (MACHINE, {}, "the new run does not")]
)
def test_a_machine_that_is_not_recorded_is_refused(old: dict[str, Any], new: dict[str, Any], said: str) -> None:
    with pytest.raises(GateError, match=said):
        compare([changed(machine=old)], [changed(machine=new)])
    assert compare([changed(machine=old)], [changed(machine=new)], counted_only=True).exit_code == 0


def test_counted_cost_alone_is_compared_across_machines() -> None:
    elsewhere = {**MACHINE, "cpu": "b", "threads": 64}
    same_build = changed(machine=elsewhere, median_seconds=100.0)
    report = compare([BASE], [same_build], counted_only=True)
    assert kinds(report) == {"note": 1}
    assert "100" not in text(report)
    assert compare([BASE], [replace(same_build, flops=1001)], counted_only=True).exit_code == 1
    assert compare([BASE], [replace(same_build, forward_passes=2)], counted_only=True).exit_code == 1
    assert compare([BASE], [replace(same_build, peak_bytes=20_000_000)], counted_only=True).exit_code == 1
    other_build = replace(same_build, machine={**elsewhere, "torch": "2.13.0+cu130"}, peak_bytes=20_000_000)
    report = compare([BASE], [other_build], counted_only=True)
    assert report.exit_code == 0
    assert "memory is not compared in 1 benchmark" in text(report)


def test_another_torch_may_count_flops_otherwise_and_passes_not() -> None:
    newer = {**VERSIONS, "torch": "2.14.0"}
    report = compare([BASE], [changed(flops=2000, versions=newer)])
    assert kinds(report) == {"note": 2}
    assert report.exit_code == 0
    assert "torch differs (2.13.0 -> 2.14.0) and may count otherwise" in text(report)
    assert "the version of torch differs: 2.13.0 -> 2.14.0" in text(report)
    assert compare([BASE], [changed(forward_passes=2, versions=newer)]).exit_code == 1
    assert compare([BASE], [changed(flops=2000, versions={**VERSIONS, "fishergauge": "0.2.0"})]).exit_code == 1


def test_another_version_of_a_peer_may_cost_more_and_this_package_may_not() -> None:
    newer = {**VERSIONS, "curvlinops-for-pytorch": "3.1"}
    report = compare([PEER], [replace(PEER, flops=2000, forward_passes=9, versions=newer)])
    assert report.exit_code == 0
    assert "its packages differ (curvlinops-for-pytorch 3.0 -> 3.1)" in text(report)
    assert compare([PEER], [replace(PEER, flops=2000)]).exit_code == 1
    ours = {**VERSIONS, "fishergauge": "0.2.0"}
    assert compare([PEER], [replace(PEER, flops=2000, versions=ours)]).exit_code == 1
    assert compare([BASE], [changed(flops=2000, versions=newer)]).exit_code == 1


def test_runs_without_a_common_benchmark_and_with_one_twice_are_refused() -> None:
    with pytest.raises(GateError, match=r"nothing in common: .*mlp-small in float64 on cpu.*mlp-small in float32 on cpu"):
        compare([BASE], [changed(dtype="float32")])
    with pytest.raises(GateError, match="no records"):
        compare([], [BASE])
    with pytest.raises(GateError, match=r"the baseline has fishergauge ggn/dense .* twice"):
        compare([BASE, BASE], [BASE])
    with pytest.raises(GateError, match="the new run has"):
        compare([BASE], [BASE, BASE])


def test_the_kinds_are_in_order_and_each_has_a_title() -> None:
    assert set(TITLES) == set(KINDS)
    report = compare([BASE, PEER], [changed(flops=2000, peak_bytes=20_000_000, verified=False, median_seconds=9.0)])
    assert [change.kind for change in report.changes] == ["wrong", "vanished", "cost", "memory", "note"]
    assert report.text().splitlines()[-1].endswith("wrong 1, vanished 1, cost 1, memory 1; 4 red")


def test_a_file_written_and_read_again_is_no_change(tmp_path: Path) -> None:
    write_records([changed(deviation=math.nan)], tmp_path / "base.jsonl")
    assert compare(read_records(tmp_path / "base.jsonl"), [BASE]).changes == ()


TINY = Bench("tiny", "softmax", "small", "3-2, N = 6", partial(perceptron, (3, 2), 6, "tiny"))


def dense(problem: Problem) -> torch.Tensor:
    return ggn(problem).dense()


def twice(problem: Problem) -> torch.Tensor:
    dense(problem)
    return dense(problem)


def buffered(numbers: int, problem: Problem) -> torch.Tensor:
    """A buffer beside all of the computation."""
    buffer = torch.empty(numbers, dtype=problem.dtype)
    result = dense(problem)
    assert len(buffer) == numbers
    return result


def run(build: Callable[[Problem], torch.Tensor]) -> list[BenchRecord]:
    """A real run, not timed, of one implementation called mine."""
    mine = Implementation("mine", "subject", Task("ggn", "dense"), lambda problem: lambda: build(problem))
    return measure([mine], [TINY], time=False)


def test_ten_unchanged_runs_in_a_row_pass() -> None:
    runs = [run(dense) for _ in range(11)]
    for before, after in pairwise(runs):
        assert compare(before, after).changes == ()
        assert compare(runs[0], after).changes == ()
    assert (runs[0][0].verified, runs[0][0].median_seconds) == (True, None)
    assert runs[0][0].flops
    assert runs[0][0].peak_bytes


def test_an_implementation_that_computes_twice_is_red() -> None:
    report = compare(run(dense), run(twice))
    assert report.exit_code == 1
    assert {change.kind for change in report.red} == {"cost"}
    assert "FLOPs" in text(report)
    assert "forward passes" in text(report)
    assert {change.kind for change in compare(run(twice), run(dense)).changes} >= {"improvement"}


def test_six_percent_more_memory_is_red_and_four_are_not() -> None:
    before = run(dense)
    assert before[0].peak_bytes is not None
    numbers = before[0].peak_bytes / 8
    more = compare(before, run(partial(buffered, math.ceil(0.06 * numbers))))
    assert {change.kind for change in more.changes} == {"memory"}
    assert more.exit_code == 1
    assert compare(before, run(partial(buffered, math.floor(0.04 * numbers)))).changes == ()


def test_a_wrong_result_is_red() -> None:
    report = compare(run(dense), run(lambda problem: 1.001 * dense(problem)))
    assert report.exit_code == 1
    assert "was verified, is wrong" in text(report)
    report = compare(run(dense), run(lambda problem: math.nan * dense(problem)))
    assert "was verified, is wrong" in text(report)


def test_an_implementation_that_fails_is_red() -> None:
    def fails(problem: Problem) -> torch.Tensor:
        raise ZeroDivisionError("not today")

    report = compare(run(dense), run(fails))
    assert {change.kind for change in report.red} == {"wrong", "vanished"}
    assert "not today" in text(report)
    with pytest.raises(GateError, match="nothing in common"):
        compare(run(dense), [])
