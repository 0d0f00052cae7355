"""Two versions in turn: the rule, the order, the processes, and what is said of an environment that cannot take part."""

import io
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports import bench_worker
from fishergauge.reports.bench_interleaved import Interleaved, InterleavedError, judged, order, slower
from fishergauge.reports.bench_turns import interleave, new_worker, worker_of
from fishergauge.suites.benchmarks.machine import machine
from fishergauge.suites.benchmarks.record import BenchRecord, line, read_records

BASE = BenchRecord("fishergauge", "ggn", "dense", "softmax-small", "float64", "cpu", machine=machine())
CASE = {
    "quantity": "ggn",
    "operation": "dense",
    "problem": "softmax-small",
    "dtype": "float64",
    "implementations": ["fishergauge"],
}
REQUEST = {
    "protocol": bench_worker.PROTOCOL,
    "device": "cpu",
    "threads": 1,
    "rounds": 1,
    "warm_seconds": 0.0,
    "budget_seconds": 0.1,
    "kinds": ["reference"],
    "subjects": [],
    "cases": [CASE],
}


def timed(seconds: float | None, **changes: Any) -> BenchRecord:
    return replace(BASE, median_seconds=seconds, **changes)


def text(outcome: Interleaved) -> str:
    """The text of an outcome, its lines joined."""
    return " ".join(outcome.text().split())


def runs(*seconds: float | None) -> list[list[BenchRecord]]:
    return [[timed(one)] for one in seconds]


@pytest.mark.parametrize(
    ("old", "new", "red"),
    [
        ([1.0, 1.0], [1.0, 1.0], False),
        ([1.0, 1.0], [1.25, 9.0], False),  # not above 1.25
        ([1.0, 1.0], [1.26, 9.0], True),
        ([1.0, 2.0], [2.4, 9.0], False),  # the slowest old run counts
        ([1.0, 1.0], [9.0, 1.0], False),  # the fastest new run counts
        ([9.0, 9.0], [1.0, 1.0], False),
    ],
)
def test_red_only_if_the_fastest_new_run_is_slower_than_the_slowest_old_one(
    old: list[float], new: list[float], red: bool
) -> None:
    assert slower(old, new) is red
    outcome = judged(runs(*old), runs(*new))
    assert bool(outcome.exit_code) is red
    assert outcome.text().splitlines()[1].startswith("  red  " if red else "       ")


def test_each_side_runs_as_often_and_neither_always_first() -> None:
    turns = order(5)
    assert turns[:6] == ["old", "new", "new", "old", "old", "new"]
    assert (turns.count("old"), turns.count("new")) == (5, 5)
    firsts = turns[::2]
    assert {firsts.count("old"), firsts.count("new")} == {2, 3}


def test_the_text_has_ranges_ratio_and_rule() -> None:
    outcome = judged(runs(0.001, 0.002), runs(0.004, 0.005))
    lines = outcome.text().splitlines()
    assert lines[0] == "time, old and new in turn"
    assert f"red {BASE.key}: old 1 ms to 2 ms, new 4 ms to 5 ms; fastest new / slowest old 2 " in text(outcome)
    assert max(map(len, lines)) <= 120
    assert lines[-2:] == [
        "red: the fastest new run is slower than the slowest old one by 1.25",
        "timed 1 benchmark in both versions: 1 red",
    ]


def test_what_one_version_lacks_is_a_note_and_what_the_new_one_fails_at_is_red() -> None:
    other = {"operation": "diagonal"}
    old = [[timed(1.0), timed(None, **other, reason="there is none in this version")] for _ in range(2)]
    new = [[timed(1.0), timed(1.0, **other)] for _ in range(2)]
    outcome = judged(old, new)
    assert outcome.exit_code == 0
    assert "not timed in the old version: there is none in this version" in text(outcome)
    assert "timed 1 benchmark in both versions: nothing got slower" in text(outcome)
    outcome = judged(runs(1.0, 1.0), [[timed(1.0)], [timed(None, reason="ZeroDivisionError")]])
    assert outcome.exit_code == 1
    assert "red fishergauge" in text(outcome)
    assert "not timed in the new version: ZeroDivisionError" in text(outcome)


def test_nothing_timed_in_both_versions_is_refused() -> None:
    with pytest.raises(
        InterleavedError, match=r"nothing could be timed in both versions \(not timed in the old version: why\)"
    ):
        judged([[timed(None, reason="why")]], runs(1.0))
    with pytest.raises(InterleavedError, match="no records"):
        judged([[]], [[]])


def test_other_circumstances_are_a_note() -> None:
    old = [[timed(1.0, machine={**machine(), "torch": "1.0"})]]
    assert "note: the versions run with different circumstances: torch: 1.0, now " in text(judged(old, runs(1.0)))
    assert "note" not in judged(runs(1.0), runs(1.0)).text()


def writer(folder: Path, name: str, body: str) -> list[str]:
    """A worker of a few lines."""
    (folder / name).write_text(f"import json, sys\nrequest = json.load(sys.stdin)\n{body}\n")
    return [sys.executable, "-S", "-E", str(folder / name)]


def of(seconds: float, log: Path) -> str:
    """A worker that writes down when it ran, and says that it took a time."""
    return f"open({str(log)!r}, 'a').write('{seconds} ')\nprint({line(timed(seconds))!r})"


def test_the_workers_run_in_turn_and_a_slow_one_is_red(tmp_path: Path) -> None:
    log = tmp_path / "log"
    old, new = writer(tmp_path, "old.py", of(1.0, log)), writer(tmp_path, "new.py", of(1.3, log))
    told: list[tuple[int, int, object]] = []
    outcome = interleave(REQUEST, old, new, runs=3, progress=lambda *what: told.append(what))
    assert log.read_text().split() == ["1.0", "1.3", "1.3", "1.0", "1.0", "1.3"]
    assert (outcome.verdicts[0].old, outcome.verdicts[0].new) == ((1.0,) * 3, (1.3,) * 3)
    assert outcome.exit_code == 1
    assert told[0] == (0, 6, "old version")
    assert interleave(REQUEST, new, old, runs=2).exit_code == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('boom', file=sys.stderr); sys.exit(3)", "the worker of the new version ended with 3: boom"),
        ("print('hello')", "what the worker of the new version writes cannot be read"),
    ],
)
def test_a_worker_that_fails_ends_the_comparison(body: str, said: str, tmp_path: Path) -> None:
    old = writer(tmp_path, "old.py", of(1.0, tmp_path / "log"))
    with pytest.raises(InterleavedError, match=said):
        interleave(REQUEST, old, writer(tmp_path, "new.py", body), runs=1)


def test_a_real_worker_times_what_is_asked_for_in_a_process_of_its_own() -> None:
    outcome = interleave(REQUEST, worker_of(sys.executable), new_worker(), runs=1)
    assert isinstance(outcome, Interleaved)
    (verdict,) = outcome.verdicts
    assert verdict.key == BASE.key
    assert min(*verdict.old, *verdict.new) > 0
    assert outcome.notes == ()
    assert not slower(verdict.old, verdict.new, factor=1e6)


def served(request: dict[str, Any], folder: Path) -> list[BenchRecord]:
    out = io.StringIO()
    assert bench_worker.serve(request, out) == 0
    (folder / "served.jsonl").write_text(out.getvalue())
    return read_records(folder / "served.jsonl")


def test_the_worker_says_why_it_cannot_time_something(tmp_path: Path) -> None:
    names = ["fishergauge", "gone"]
    cases = [{**CASE, "implementations": names}, {**CASE, "problem": "mlp-huge"}, {**CASE, "quantity": "ggm"}]
    found = served({**REQUEST, "cases": cases}, tmp_path)
    assert [record.key.implementation for record in found] == [*names, "fishergauge", "fishergauge"]
    assert found[0].median_seconds is not None
    assert (found[0].rounds, found[0].machine["threads"]) == (1, 1)
    assert [record.median_seconds for record in found[1:]] == [None] * 3
    assert [record.reason for record in found[1:]] == [
        "there is none in this version",
        "there is no such problem in this version",
        "there is none in this version",
    ]


def test_the_worker_times_on_the_threads_asked_for_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    (record,) = served({**REQUEST, "threads": before + 1}, tmp_path)
    assert record.machine["threads"] == before + 1
    assert torch.get_num_threads() == before


def test_a_request_of_another_protocol_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert bench_worker.serve({**REQUEST, "protocol": 99}, out) == 2
    assert out.getvalue() == ""
    assert "protocol 99 is asked for" in capsys.readouterr().err


def test_what_libraries_print_is_no_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(REQUEST)))
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    monkeypatch.setattr("fishergauge.suites.benchmarks.stopwatch.time_interleaved", _talkative())
    assert bench_worker.main() == 0
    captured = capsys.readouterr()
    (tmp_path / "out.jsonl").write_text(captured.out)
    assert len(read_records(tmp_path / "out.jsonl")) == 1
    assert "look at me" in captured.err


def _talkative() -> Any:
    from fishergauge.suites.benchmarks.stopwatch import time_interleaved

    def timed_aloud(*arguments: Any, **options: Any) -> Any:
        print("look at me")
        return time_interleaved(*arguments, **options)

    return timed_aloud


def script(folder: Path, body: str) -> str:
    """An executable that stands for an interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_interpreter_of_this_environment_can_take_part() -> None:
    assert worker_of(sys.executable) == [sys.executable, "-m", "fishergauge.reports.bench_worker"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "echo \"ModuleNotFoundError: No module named 'fishergauge'\" >&2; exit 1",
            "there is no fishergauge in this environment",
        ),
        (
            "echo \"ModuleNotFoundError: No module named 'fishergauge.reports.bench_worker'\" >&2; exit 1",
            "it is too old to be timed in turn",
        ),
        ("echo 'SyntaxError: what' >&2; exit 1", "cannot start a worker \\(SyntaxError: what\\)"),
        ("exit 1", "cannot start a worker \\(no message\\); give the Python interpreter"),
        ("echo hello", "does not answer as a Python interpreter would"),
        ("echo file; echo 99", "that version has protocol 99, this one 1"),
    ],
)
def test_an_environment_that_cannot_take_part_is_named_with_the_cause(body: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InterleavedError, match=said):
        worker_of(script(tmp_path, body))


def test_what_is_no_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterleavedError, match="there is no such file; give the interpreter"):
        worker_of(str(tmp_path / "nothing"))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InterleavedError, match="cannot be run as a Python interpreter"):
        worker_of(str(tmp_path / "text"))
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").touch()
    with pytest.raises(InterleavedError, match=r"did you mean .*env/bin/python\?"):
        worker_of(str(tmp_path / "env"))
