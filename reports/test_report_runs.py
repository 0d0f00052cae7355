"""The runs of a report: once each, kept as long as nothing has changed, resumed, anew on demand, and honest about failure."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports import report_runs
from fishergauge.reports.report_runs import StageRun, State, run_stages
from fishergauge.reports.report_stages import Stage

# stands in for the command line: writes down with what it was called, and an artefact
PROGRAM = """
import pathlib, sys
*arguments, option, folder = sys.argv[1:]
folder = pathlib.Path(folder)
folder.mkdir(exist_ok=True)
with (folder / "calls.txt").open("a") as calls:
    calls.write(" ".join(arguments) + "\\n")
code = int(arguments[1])
if code != 2:
    (folder / "artefact.json").write_text(arguments[0])
print("a line")
print(f"the last line of {arguments[0]}")
print("trouble" if code == 2 else "a warning", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def _program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_runs, "PROGRAM", PROGRAM)


@pytest.fixture
def said() -> list[str]:
    return []


Run = Callable[..., list[StageRun]]


@pytest.fixture
def run(tmp_path: Path, said: list[str]) -> Run:
    return lambda stages, fresh=False: run_stages(stages, tmp_path, fresh, said.append)


def stage(
    name: str = "spectrum",
    code: int = 0,
    artefact: str = "artefact.json",
    folder: str = "",
    ours: bool = True,
    found: bool = False,
) -> Stage:
    """A run that ends with an exit code."""
    return Stage(name, (name, str(code)), artefact, folder, ("--resume",), ("--fresh",), ours=ours, found=found)


def calls(folder: Path) -> Sequence[str]:
    """What the program was called with."""
    return (folder / "calls.txt").read_text().splitlines()


def test_a_finished_run_is_kept_and_its_verdict_remembered(run: Run, tmp_path: Path) -> None:
    first, second = run([stage(code=1)]), run([stage(code=1)])
    assert [first[0].how, second[0].how] == ["ran", "kept"]
    assert first[0].code == second[0].code == 1
    assert second[0].last == "the last line of spectrum"
    assert calls(tmp_path) == ["spectrum 1"]


def test_other_arguments_run_anew_but_another_number_of_processes_does_not(run: Run, tmp_path: Path) -> None:
    one = stage()
    run([one])
    assert run([replace(one, arguments=(*one.arguments, "--jobs", "7"))])[0].how == "kept"
    assert run([replace(one, arguments=(*one.arguments, "--quick"))])[0].how == "ran"
    assert run([replace(one, arguments=(*one.arguments, "--quick"))])[0].how == "kept"
    assert len(calls(tmp_path)) == 2


def test_other_code_runs_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run([stage()])
    monkeypatch.setattr(report_runs, "code_version", lambda: "0.1.0+other")
    assert run([stage()])[0].how == "ran"


def test_a_lost_or_changed_artefact_is_made_again(run: Run, tmp_path: Path) -> None:
    run([stage()])
    (tmp_path / "artefact.json").write_text("changed")
    assert run([stage()])[0].how == "ran"
    (tmp_path / "artefact.json").unlink()
    assert run([stage()])[0].how == "ran"


def test_fresh_runs_everything_and_tells_the_command_to_forget(run: Run, tmp_path: Path) -> None:
    run([stage()])
    run([stage()], True)
    assert calls(tmp_path) == ["spectrum 0", "spectrum 0 --fresh"]


def test_what_a_command_wrote_by_itself_is_shown_where_that_is_meant(run: Run, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "artefact.json").write_text("of a longer run")
    assert run([stage(found=True)])[0].how == "found"
    assert "--fresh" in said[-1]
    assert run([stage(found=True)])[0].how == "found", "also the second time"
    assert (tmp_path / "artefact.json").read_text() == "of a longer run"
    assert run([stage()])[0].how == "ran", "where it is not meant"
    (tmp_path / "artefact.json").write_text("of a longer run")
    assert run([stage(found=True)])[0].how == "found", "after a run of ours"


def test_subjects_of_the_user_are_examined_each_time(run: Run, tmp_path: Path) -> None:
    run([stage(ours=False)])
    assert run([stage(ours=False)])[0].how == "ran"
    assert calls(tmp_path) == ["spectrum 0 --fresh", "spectrum 0 --fresh"]


@pytest.mark.parametrize("ours", [True, False])
def test_an_interrupted_run_goes_on(run: Run, tmp_path: Path, ours: bool) -> None:
    State(tmp_path).begin(stage(ours=ours))
    assert run([stage(ours=ours)])[0].how == "ran"
    assert calls(tmp_path) == ["spectrum 0 --resume"]


def test_an_interruption_behind_an_older_artefact_does_not_count_as_finished(run: Run, tmp_path: Path) -> None:
    run([stage(found=True)])
    State(tmp_path).begin(stage(found=True))
    assert run([stage(found=True)])[0].how == "ran"


def test_a_failure_is_said_and_the_others_go_on(run: Run, tmp_path: Path, said: list[str]) -> None:
    failed, other = run([stage("paper", 2), stage("bench", 0, "bench/artefact.json", "bench")])
    assert failed.failed
    assert not other.failed
    assert "exit code 2" in failed.last
    assert "trouble" in failed.last, "the last line of its errors"
    assert "trouble" in (tmp_path / "logs" / "paper-errors.txt").read_text()
    assert other.last == "the last line of bench"
    assert any("exit code 2" in line for line in said)
    assert run([stage("paper", 2)])[0].how == "ran", "it is tried again"


def test_a_crash_is_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_runs, "PROGRAM", "import os; os.abort()")
    assert run([stage()])[0].failed


def test_an_exception_is_not_taken_for_a_red_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "artefact.json").touch()
    monkeypatch.setattr(report_runs, "PROGRAM", "print('so far so good'); raise ValueError('no luck')")
    (found,) = run([stage()])
    assert found.code == 1
    assert found.failed
    assert "ValueError: no luck" in found.last
    assert run([stage()])[0].how == "ran", "it is tried again"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"stages": 3}', '{"stages": {"spectrum": 3}}'])
def test_a_damaged_record_of_the_runs_means_that_they_run(run: Run, tmp_path: Path, damage: str) -> None:
    run([stage()])
    (tmp_path / report_runs.STATE).write_text(damage)
    assert run([stage()])[0].how == "ran"
    assert json.loads((tmp_path / report_runs.STATE).read_text())["schema"] == 1


def test_an_interruption_ends_the_run_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_runs, "PROGRAM", "import time; time.sleep(600)")
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen.__init__

    def remembered(process: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
        begin(process, *arguments, **options)
        started.append(process)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "__init__", remembered)
    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_stages([stage(), stage("bench")], tmp_path, False, lambda line: None, 2)
    assert [process.returncode for process in started] == [-signal.SIGTERM] * 2, (
        "they were ended, and did not sleep to their end"
    )
    assert State(tmp_path).begun(stage())


def test_runs_at_the_same_time_are_reported_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meet = (  # each waits for the file of the other: they end only if they run at the same time
        "import pathlib, sys, time; mine, other = sys.argv[1], {'spectrum': 'bench', 'bench': 'spectrum'}[sys.argv[1]]\n"
        "folder = pathlib.Path(sys.argv[-1]); (folder / mine).touch()\n"
        "end = time.monotonic() + 60\n"
        "while not (folder / other).exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.3 if mine == 'spectrum' else 0)\n"
        "(folder / 'artefact.json').touch(); sys.exit(0 if (folder / other).exists() else 2)"
    )
    monkeypatch.setattr(report_runs, "PROGRAM", meet)
    runs = run_stages([stage("spectrum"), stage("bench")], tmp_path, False, lambda line: None, 2)
    assert [run.stage.part for run in runs] == ["spectrum", "bench"]
    assert [run.code for run in runs] == [0, 0]


def test_fresh_removes_what_a_command_would_go_on_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "one").touch()
    (tmp_path / "cells.jsonl").touch()
    one = replace(stage(), forgotten=("records", "cells.jsonl", "absent"))
    run([one])
    assert (tmp_path / "records" / "one").exists()
    run([one], True)
    assert not (tmp_path / "records").exists()
    assert not (tmp_path / "cells.jsonl").exists()
