"""``fishergauge bench`` measures, judges, writes, and refuses what it cannot do."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from fishergauge.reports import bench_command
from fishergauge.reports.bench_interleaved import Interleaved, Verdict
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.machine import machine, versions
from fishergauge.suites.benchmarks.problems import Bench
from fishergauge.suites.benchmarks.record import BenchRecord, read_records, write_records
from fishergauge.suites.benchmarks.task import Task

SUBJECTS = """
from fishergauge.suites import Subject
def build(problem): ...
mine = Subject("mine", build)
twin = Subject("mine", build, structure="diagonal")
taken = Subject("fishergauge", build)
"""
DENSE, DIAGONAL = Task("ggn", "dense"), Task("ggn", "diagonal")
FEW = ["--problems", "mlp-small"]


def run(*arguments: str) -> int:
    """The command as the command line calls it."""
    root = argparse.ArgumentParser(prog="fishergauge")
    bench_command.add_parser(root.add_subparsers(dest="command", required=True))
    given = ["bench", *arguments]
    options = root.parse_args(given)
    options.given = given
    code: int = options.run(options)
    return code


def offered(kinds: Sequence[str] = (), subjects: Sequence[Any] = (), globs: Sequence[str] = ()) -> list[Implementation]:
    """Stands for the registry: nothing is computed here."""
    makers = [("fishergauge", "reference"), ("backpack", "backpack"), ("curvlinops:make_fx", "peer")]
    makers += [(subject.name, "subject") for subject in subjects]
    return [
        Implementation(name, kind, task, lambda problem: lambda: torch.zeros(1))  # type: ignore[arg-type]
        for name, kind in makers
        if not kinds or kind in kinds
        for task in (DENSE, DIAGONAL)
        if (name, task) != ("backpack", DENSE)
    ]


def record_of(one: Implementation, bench: Bench, dtype: str, device: str, **changes: Any) -> BenchRecord:
    figures: dict[str, Any] = {"peak_bytes": 1000, "flops": 100, "forward_passes": 1, "backward_passes": 2, "verified": True}
    figures |= {"median_seconds": 0.5, "fastest_seconds": 0.4, "rounds": 3, "kind": one.kind}
    key = (one.name, one.task.quantity, one.task.operation, bench.name, dtype, device)
    return BenchRecord(*key, **{**figures, "versions": versions(), "machine": machine(device), **changes})


class Measured:
    """Stands for the measuring: says what was asked for, and returns records with the changes planned for them."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str, str, str, dict[str, Any]]] = []
        self.changes: Callable[[str], dict[str, Any]] = lambda name: {}
        self.interrupted_at: int | None = None

    def __call__(
        self, chosen: Sequence[Implementation], benches: Sequence[Bench], dtypes: Sequence[str], device: str, **how: Any
    ) -> list[BenchRecord]:
        if self.interrupted_at == len(self.calls):
            raise KeyboardInterrupt
        found = []
        for bench in benches:
            for dtype in dtypes:
                self.calls.append(([one.name for one in chosen], bench.name, dtype, device, how))
                found += [record_of(one, bench, dtype, device, **self.changes(one.name)) for one in chosen]
        return found


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    stand_in = Measured()
    monkeypatch.setattr("fishergauge.reports.bench_plan.implementations", offered)
    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure", stand_in)
    yield stand_in
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def baseline(**changes: Any) -> Path:
    """A file of an earlier run of what :data:`FEW` measures, with changes in the records of the reference."""
    assert run(*FEW, "--json", "base.jsonl") == 0
    records = read_records(Path("base.jsonl"))
    write_records([replace(one, **changes) if one.kind == "reference" else one for one in records], Path("base.jsonl"))
    return Path("base.jsonl")


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def test_a_run_with_nothing_red_ends_with_0_and_writes_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*FEW, "--json", "all.jsonl", "--github", "chart.json", "--markdown", "summary.md") == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "mlp-small (float64, cpu)"
    assert lines[-1].startswith("5 benchmarks: 5 measured, 5 timed, 5 verified, 0 refused, 0 red; ")
    assert lines[-2].startswith("written: out/bench/bench.jsonl, out/bench/bench.csv, out/bench/bench.md, ")
    assert captured.err == ""
    assert max(map(len, lines)) <= 120
    records = read_records(Path("all.jsonl"))
    assert read_records(Path("out/bench/bench.jsonl")) == records
    assert len(records) == 5
    for text in [*Path("all.jsonl").read_text().splitlines(), Path("chart.json").read_text()]:
        json.loads(text, parse_constant=_refuse)
    assert len(json.loads(Path("chart.json").read_text())) == 15
    document = Path("summary.md").read_text()
    assert Path("out/bench/bench.md").read_text() == document
    assert "$ fishergauge bench --problems mlp-small" in document


@pytest.mark.parametrize(
    ("arguments", "problems", "dtypes"),
    [
        ([], 8, {"float64"}),
        (["--quick"], 2, {"float64"}),
        (["--quick", "--sizes", "small"], 4, {"float64"}),
        (["--quick", "--problems", "cnn-*"], 1, {"float64"}),
        (["--sizes", "large"], 4, {"float64"}),
        (["--sizes", "small, large", "--dtype", "both"], 8, {"float64", "float32"}),
        (["--problems", "mlp-*"], 2, {"float64"}),
        (["--problems", "mlp-large"], 1, {"float64"}),
        (["--problems", "mlp-large,cnn-*"], 3, {"float64"}),
        (["--problems", "mlp-*", "--sizes", "large", "--dtype", "float32"], 1, {"float32"}),
    ],
)
def test_what_is_measured(arguments: list[str], problems: int, dtypes: set[str], measured: Measured) -> None:
    assert run(*arguments) == 0
    assert len({bench for _, bench, *_ in measured.calls}) == problems
    assert {dtype for _, _, dtype, *_ in measured.calls} == dtypes


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [["fishergauge", "curvlinops:make_fx"], ["fishergauge", "backpack", "curvlinops:make_fx"]]),
        (["--no-peers"], [["fishergauge"], ["fishergauge", "backpack"]]),
        (["--tasks", "ggn/diag*"], [["fishergauge", "backpack", "curvlinops:make_fx"]]),
        (["--implementations", "backpack,curv*"], [["curvlinops:make_fx"], ["backpack", "curvlinops:make_fx"]]),
        (["--subject", "mine.py:mine", "--implementations", "mine"], [["mine"], ["mine"]]),
    ],
)
def test_who_is_measured(arguments: list[str], expected: list[list[str]], measured: Measured) -> None:
    assert run(*FEW, *arguments) == 0
    assert sorted(sorted(names) for names, *_ in measured.calls) == sorted(sorted(names) for names in expected)


def test_quick_leaves_out_conjugate_gradients_of_the_reference_unless_they_are_asked_for(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [
        Implementation(name, kind, DENSE, lambda problem: lambda: torch.zeros(1))  # type: ignore[arg-type]
        for name, kind in (("fishergauge", "reference"), ("fishergauge:cg", "reference"), ("cg", "reference"), ("x:cg", "peer"))
    ]
    monkeypatch.setattr("fishergauge.reports.bench_plan.implementations", lambda **_: made)
    asked = {(): 4, ("--quick",): 2, ("--quick", "--implementations", "*cg"): 3}
    for arguments, count in asked.items():
        measured.calls.clear()
        run(*FEW, *arguments)
        assert [len(names) for names, *_ in measured.calls] == [count], arguments


def test_how_it_is_measured(measured: Measured) -> None:
    before = torch.get_num_threads()
    assert run(*FEW, "--quick", "--rounds", "4", "--no-time", "--threads", str(before + 1)) == 0
    *_, how = measured.calls[0]
    assert (how["quick"], how["rounds"], how["time"]) == (True, 4, False)
    assert read_records(Path("out/bench/bench.jsonl"))[0].machine["threads"] == before + 1
    assert torch.get_num_threads() == before
    assert run(*FEW) == 0
    *_, how = measured.calls[-1]
    assert (how["quick"], how["rounds"], how["time"]) == (False, None, True)


def test_a_wrong_result_ends_with_1(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    measured.changes = lambda name: {"verified": False, "deviation": 0.5, "bound": 1e-9} if name == "backpack" else {}
    assert run(*FEW) == 1
    assert "WRONG: backpack ggn/diagonal: deviation 0.5, bound 1e-9." in capsys.readouterr().out


def test_a_subject_of_which_nothing_is_measured_ends_with_3(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {
        **dict.fromkeys(("peak_bytes", "flops", "forward_passes", "backward_passes", "verified", "median_seconds"), None),
        "reason": "not for these",
    }
    measured.changes = lambda name: nothing if name == "mine" else {}
    assert run(*FEW, "--subject", "mine.py:mine") == 3
    assert "vacuous: of mine nothing could be measured" in capsys.readouterr().out
    measured.changes = lambda name: nothing
    assert run(*FEW) == 3
    assert "vacuous: of this run nothing could be measured" in capsys.readouterr().out
    measured.changes = lambda name: nothing if name == "mine" else {"verified": False}
    assert run(*FEW, "--subject", "mine.py:mine") == 1
    measured.changes = lambda name: {}
    assert run(*FEW, "--subject", "mine.py:mine") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes", "huge"], "--sizes 'huge' is no size; choose from small, medium, large"),
        (["--sizes", ","], "--sizes is empty; choose from small"),
        (["--problems", "mpl-small"], "--problems 'mpl-small' matches nothing; did you mean mlp-small"),
        (["--problems", "mlp-large", "--sizes", "small"], "matches no problem of the sizes small; leave --sizes out"),
        (["--tasks", "gnn/*"], "--tasks 'gnn/*' matches nothing; did you mean ggn/"),
        (["--tasks", " "], "--tasks is empty"),
        (["--implementations", "fishergage"], "matches nothing; did you mean fishergauge?"),
        (["--implementations", "fishergage"], "(fishergauge bench --list lists the names)"),
        (["--implementations", "backpack", "--tasks", "ggn/dense"], "none of these implementations does one of these tasks"),
        (["--device", "abacus"], "--device 'abacus' is no device; use cpu or cuda"),
        (["--subject", "mine.py:mien"], "Did you mean mine"),
        (["--subject", "mine.py:mine", "mine.py:twin"], "'mine' is also the name of another subject"),
        (["--subject", "mine.py:taken"], "'fishergauge' is also the name of an implementation that is measured beside it"),
        (["--baseline", "nothing.jsonl"], "nothing.jsonl: no such file"),
        (["--baseline", "mine.py"], "mine.py, line 2: no record of fishergauge bench"),
        (["--counted-only"], "--counted-only says how a baseline is compared; give --baseline FILE"),
        (["--old", "nothing"], "--old nothing: there is no such file"),
        (["--old", "mine.py"], "--old mine.py cannot be run as a Python interpreter"),
        (["--json", "-"], "--json takes the path of a file"),
        (["--github", "."], "--github .: this is a folder"),
        (["--markdown", "no/where.md"], "there is no folder no; make it first"),
        (["--out", "mine.py"], "--out mine.py is a file; name a folder"),
        (["--resume"], "--resume: out/bench/cells.jsonl: no such file"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(
    arguments: list[str], said: str, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*FEW, *arguments] if "--problems" not in arguments else arguments
    assert run(*given) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert measured.calls == []


@pytest.mark.parametrize("arguments", [["--dtype", "float16"], ["--rounds", "0"], ["--threads", "x"], ["--subject"]])
def test_values_that_cannot_be_parsed_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2


def test_peers_that_are_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("fishergauge.reports.bench_plan.PEERS", {"json": "", "no_such_library": ""})
    assert run(*FEW, "--peers") == 2
    assert "--peers: not installed: no_such_library; run: pip install 'fishergauge[peers]'" in capsys.readouterr().err
    assert run(*FEW) == 0
    monkeypatch.setattr("fishergauge.reports.bench_plan.PEERS", {"json": ""})
    assert run(*FEW, "--peers") == 0


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, "compared 5 benchmarks: no change; nothing got worse"),
        ({"flops": 99}, 1, "FLOPs 99 -> 100"),
        ({"flops": 101}, 0, "improvements"),
        ({"peak_bytes": 940}, 1, "above 1.05"),
        ({"peak_bytes": 960}, 0, "nothing got worse"),
        ({"median_seconds": 0.001}, 0, "not judged"),
        ({"implementation": "fishergauge:gone"}, 1, "was measured, is gone"),
    ],
)
def test_a_baseline_is_compared(changes: dict[str, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = baseline(**changes)
    capsys.readouterr()
    assert run(*FEW, "--baseline", str(path), "--markdown", "summary.md") == code
    out = capsys.readouterr().out
    assert f"compared with {path}" in out
    assert said in out
    assert said in Path("summary.md").read_text()


@pytest.mark.parametrize(
    "narrowed",
    [
        ["--tasks", "ggn/dense"],
        ["--implementations", "fishergauge"],
        ["--no-peers"],
        ["--subject", "mine.py:mine"],
    ],
)
def test_what_the_options_leave_out_has_not_vanished(narrowed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--problems", "mlp-small,cnn-small", "--dtype", "both", "--json", "base.jsonl") == 0
    records = read_records(Path("base.jsonl"))
    others = [replace(records[0], implementation="other", kind="subject"), replace(records[0], device="cuda")]
    write_records([*records, *others], Path("base.jsonl"))
    capsys.readouterr()
    assert run(*FEW, *narrowed, "--baseline", "base.jsonl") == 0
    assert "nothing got worse" in capsys.readouterr().out


def test_a_baseline_of_another_machine_is_refused_before_anything_is_measured(
    measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    path = baseline(machine={**machine(), "cpu": "abacus"}, flops=99)
    measured.calls.clear()
    capsys.readouterr()
    assert run(*FEW, "--baseline", str(path)) == 2
    captured = capsys.readouterr()
    assert "the baseline is of another machine" in captured.err
    assert "baseline cpu abacus" in captured.err
    assert "--counted-only" in captured.err
    assert (captured.out, measured.calls) == ("", [])
    assert run(*FEW, "--baseline", str(path), "--counted-only") == 1
    assert "counted cost alone: machines may differ" in capsys.readouterr().out


def test_a_baseline_of_something_else_is_refused(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    path = baseline()
    measured.calls.clear()
    assert run("--problems", "cnn-small", "--baseline", str(path)) == 2
    assert "none of its 5 benchmarks is among what is measured here" in capsys.readouterr().err
    assert measured.calls == []


def test_a_peer_that_is_not_installed_any_more_is_missed_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = baseline()
    monkeypatch.setattr("fishergauge.reports.bench_plan.PEERS", {"no_such_library": ""})
    monkeypatch.setattr(
        "fishergauge.reports.bench_plan.implementations",
        lambda *args, **options: [one for one in offered(*args, **options) if one.kind != "peer"],
    )
    capsys.readouterr()
    assert run(*FEW, "--baseline", str(path)) == 1
    out = capsys.readouterr().out
    assert "curvlinops:make_fx ggn/dense on mlp-small (float64, cpu): was measured, is gone" in out
    assert "not installed here: no_such_library; run: pip install 'fishergauge[peers]', or leave peers out (--no-peers)" in out
    assert run(*FEW, "--baseline", str(path), "--no-peers") == 0


def test_an_absent_device_is_shown_in_the_tables_and_ends_with_2(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert run(*FEW, "--device", "cuda", "--json", "all.jsonl") == 2
    captured = capsys.readouterr()
    assert "mlp-small (float64, cuda)" in captured.out
    assert captured.out.count("no device") >= 5
    assert "5 benchmarks: 0 measured, 0 timed, 0 verified, 0 refused, 0 red, 5 without a device" in captured.out
    assert "fishergauge: --device cuda: not measured: no device (torch" in captured.err
    assert measured.calls == []
    assert all(one.reason.startswith("not measured: no device") for one in read_records(Path("all.jsonl")))
    assert run(*FEW) == 0
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "cuda")
    capsys.readouterr()
    assert run(*FEW) == 2
    assert "FISHERGAUGE_REQUIRE=cuda, but no such device is visible" in capsys.readouterr().err
    assert run(*FEW, "--device", "cuda") == 2
    assert "mlp-small (float64, cuda)" in capsys.readouterr().out


def test_an_interrupted_run_keeps_what_it_has_and_can_go_on(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--problems", "mlp-small,cnn-small"]
    measured.interrupted_at = 0
    assert run(*few) == run(*few, "--resume") == 130
    assert "0 finished benchmarks are kept" in capsys.readouterr().err
    measured.interrupted_at = 1
    assert run(*few, "--resume") == 130
    err = capsys.readouterr().err
    assert "interrupted; " in err
    assert "finished benchmarks are kept in out/bench/bench.jsonl, and the same command with --resume goes on" in err
    kept = read_records(Path("out/bench/bench.jsonl"))
    assert 0 < len(kept) < 10
    measured.interrupted_at = None
    done = len(measured.calls)
    assert run(*few, "--resume") == 0
    records = read_records(Path("out/bench/bench.jsonl"))
    assert records[: len(kept)] == kept
    assert len({one.key for one in records}) == len(records) == 10
    resumed = len(measured.calls) - done
    assert run(*few) == 0
    assert resumed < len(measured.calls) - done - resumed
    assert len(read_records(Path("out/bench/bench.jsonl"))) == 10


def test_a_run_of_other_circumstances_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("out/bench/cells.jsonl")
    assert run(*FEW) == 0
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for changes, said in (
        ({"machine": {**machine(), "cpu": "abacus"}}, "CPU: abacus, now"),
        ({"versions": {**versions(), "torch": "1.0"}}, "torch 1.0 and "),
    ):
        changed = [{**line, "result": [{**record, **changes} for record in line["result"]]} for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in changed))
        assert run(*FEW, "--resume") == 2
        err = capsys.readouterr().err
        assert "was begun under other circumstances" in err
        assert said in err


def test_shards_are_joined_and_resumed(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--problems", "mlp-small,cnn-small"]
    for number in (1, 2):
        assert run(*few, "--out", f"part{number}", "--shard", f"{number}/2") == 0
        assert not Path(f"part{number}/bench.jsonl").exists()
    assert "shard 2/2: 2 of 4 cells in part2/cells.jsonl, 0 failed" in capsys.readouterr().out
    Path("out/bench").mkdir(parents=True)
    Path("out/bench/cells.jsonl").write_text("".join(Path(f"part{number}/cells.jsonl").read_text() for number in (1, 2)))
    done = len(measured.calls)
    assert run(*few, "--resume") == 0
    assert len(measured.calls) == done == 4
    assert len(read_records(Path("out/bench/bench.jsonl"))) == 10
    assert run(*few) == 0  # anew
    assert len(measured.calls) == 8


def test_a_case_that_fails_is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], measured: Measured
) -> None:
    def failing(chosen: Sequence[Implementation], *arguments: Any, **how: Any) -> list[BenchRecord]:
        if chosen[0].task == DENSE:
            raise RuntimeError("out of order")
        return measured(chosen, *arguments, **how)

    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure", failing)
    assert run(*FEW) == 1
    assert "RuntimeError: out of order" in capsys.readouterr().out
    assert len(read_records(Path("out/bench/bench.jsonl"))) == 5
    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure", measured)
    assert run(*FEW, "--resume") == 0


def test_an_old_version_is_timed_in_turn(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []
    key = record_of(offered()[0], Bench("mlp-small", "mlp", "small", "", lambda: NotImplemented), "float64", "cpu").key
    times = [(1.0, 1.0), (2.0, 2.0)]  # old, new

    def timed(request: dict[str, Any], old: Sequence[str], new: Sequence[str], progress: object = None) -> Interleaved:
        asked.append(request)
        return Interleaved((Verdict(key, times[0], times[1]),))

    monkeypatch.setattr("fishergauge.reports.bench_verdict.interleave", timed)
    assert run(*FEW, "--old", sys.executable, "--threads", "1", "--rounds", "9") == 1
    out = capsys.readouterr().out
    assert "red  fishergauge ggn/dense on mlp-small (float64, cpu): old 1 s to 1 s, new 2 s to 2 s" in out
    assert "the fastest new run is slower than the slowest old one" in Path("out/bench/bench.md").read_text()
    (request,) = asked
    assert (request["threads"], request["rounds"], request["kinds"]) == (1, 9, ["reference"])
    assert [case["implementations"] for case in request["cases"]] == [["fishergauge"], ["fishergauge"]]
    assert run(*FEW, "--old", sys.executable, "--subject", "mine.py:mine") == 1
    assert asked[-1]["kinds"] == ["reference", "subject"]
    assert asked[-1]["subjects"] == ["mine.py:mine"]
    assert run(*FEW, "--old", sys.executable, "--implementations", "curv*") == 1
    assert asked[-1]["cases"][0]["implementations"] == ["curvlinops:make_fx"]
    times.reverse()
    assert run(*FEW, "--old", sys.executable) == 0


def test_the_listing_measures_nothing(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list", "--tasks", "ggn/dia*", "--quick", "--subject", "mine.py:mine") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["ggn/diagonal", "fishergauge,", "backpack,", "curvlinops:make_fx,", "mine"]
    assert [line.split()[0] for line in lines if "N = " in line] == ["softmax-small", "mlp-small"]
    assert lines[-1] == "in float64 on cpu: 8 benchmarks"
    assert measured.calls == []
    assert not Path("out").exists()


def test_nan_is_null_in_every_file(measured: Measured) -> None:
    measured.changes = lambda name: {"median_seconds": math.nan, "limit_seconds": math.inf}
    assert run(*FEW, "--json", "all.jsonl", "--github", "chart.json") == 0
    for text in [*Path("all.jsonl").read_text().splitlines(), Path("chart.json").read_text()]:
        json.loads(text, parse_constant=_refuse)
    assert not [one for one in json.loads(Path("chart.json").read_text()) if one["unit"] == "s"]


def test_help_needs_no_torch() -> None:
    import subprocess

    code = "import sys; import fishergauge.reports.bench_command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
