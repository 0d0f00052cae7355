"""A conformance run as a whole: what it writes, what a subject can do to it, how it goes on after an interruption."""

import argparse
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports import conformance_command, conformance_run
from fishergauge.reports.code_version import code_version
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import reference_specs
from fishergauge.reports.conformance_run import run_conformance
from fishergauge.reports.usage import UsageError
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import read_records, write_records

SUBJECTS = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject

good = Subject("good", lambda problem: fisher(problem).dense())
"""
FEW = ConformanceOptions(problems="linear-regression", claims="T1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    (tmp_path / "dies.py").write_text("import os\nos._exit(7)\n")
    return tmp_path


def subjects_of(out: Path) -> Any:
    return json.loads((out / "conformance" / "subjects.json").read_text())


def test_a_subject_that_ends_its_process_does_not_stop_the_others(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    assert run_conformance(["dies.py:x", str(folder / "mine.py:good")], out, FEW, "fishergauge conformance ...") == 1
    content = subjects_of(out)
    dead, good = content["subjects"]
    assert dead["error"] == "its process ended (exit code 7) while it was imported or checked"
    assert (good["name"], good["counts"], good["command"]) == ("good", {"holds": 1}, "fishergauge check mine.py:good")
    assert content["unfinished"] == []
    assert content["options"]["claims"] == "T1"
    assert [record.subject for record in read_records(out / "conformance" / "records.jsonl")] == ["good"]
    assert str(folder) not in (out / "conformance" / "subjects.json").read_text()
    printed = capfd.readouterr().out
    assert "dies.py:x: not checked: its process ended (exit code 7)" in printed
    assert printed.splitlines()[-1] == "2 subjects, 1 check: 1 holds; 1 subject could not be checked"


class Processes:
    """In the place of processes: what each answers, and how it ends.

    Args:
        behave: the texts of the subjects to the number of those that are answered, and the exit code or an exception.
    """

    def __init__(self, behave: Callable[[Sequence[str]], tuple[int, int | BaseException]]) -> None:
        self.behave = behave
        self.started: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        asked = json.loads(command[-1])
        self.started.append(asked["specs"])
        number, end = self.behave(asked["specs"])
        with Path(asked["answers"]).open("w") as answers:
            for spec in asked["specs"][:number]:
                name = spec.rpartition(":")[2]
                write_records([Record(name, "T1", "mlp")], Path(asked["folder"]) / f"{name}.jsonl")
                entry = {
                    "name": name,
                    "spec": spec,
                    "checks": 1,
                    "counts": {"holds": 1},
                    "digest": name,
                    "exit_code": 3 * (name == "shy"),
                }
                answers.write(json.dumps(entry) + "\n")
            answers.write('{"name": "half')
        if isinstance(end, BaseException):
            raise end
        return end


def test_the_reference_quantities_share_a_process_and_are_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(lambda specs: (len(specs), 0))
    monkeypatch.setattr(conformance_run, "_waited", processes)
    assert run_conformance([], folder, FEW) == 0
    assert processes.started == [reference_specs()]
    processes.started.clear()
    run_conformance(["mine.py:good", "yours.py:other", reference_specs()[0]], folder, FEW)
    assert sorted(processes.started) == [[reference_specs()[0]], ["mine.py:good"], ["yours.py:other"]]
    assert [one["name"] for one in subjects_of(folder)["subjects"]] == ["good", "other", "exact-fisher"]


def test_a_process_that_dies_takes_one_subject_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(lambda specs: (1, -11) if len(specs) == len(reference_specs()) else (len(specs), 0))
    monkeypatch.setattr(conformance_run, "_waited", processes)
    assert run_conformance([], folder, FEW) == 1
    assert processes.started == [reference_specs(), reference_specs()[2:]]
    entries = subjects_of(folder)["subjects"]
    assert [bool(one.get("error")) for one in entries] == [False, True] + [False] * (len(entries) - 2)
    assert "signal SIGSEGV" in entries[1]["error"]
    assert len(read_records(folder / "conformance" / "records.jsonl")) == len(entries) - 1


def test_a_vacuous_claim_is_told_from_a_red_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance_run, "_waited", Processes(lambda specs: (int(specs != ["a.py:dead"]), 0)))
    assert run_conformance(["a.py:good", "a.py:shy"], folder, FEW) == 3
    assert run_conformance(["a.py:good", "a.py:shy", "a.py:dead"], folder, FEW) == 1


@pytest.mark.parametrize("end", [KeyboardInterrupt(), 130])
def test_an_interrupted_run_writes_what_is_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch, end: int | BaseException
) -> None:
    monkeypatch.setattr(conformance_run, "_waited", Processes(lambda specs: (2, end)))
    with pytest.raises(KeyboardInterrupt):
        run_conformance([], folder, FEW)
    content = subjects_of(folder)
    assert [one["name"] for one in content["subjects"]] == ["exact-fisher", "exact-ggn"]
    assert content["unfinished"] == reference_specs()[2:]
    assert len(read_records(folder / "conformance" / "records.jsonl")) == 2


def test_a_subject_given_twice_is_refused_before_anything_runs(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"the subject mine\.py:good is given twice"):
        run_conformance(["mine.py:good", str(folder / "mine.py:good")], folder, FEW)


def test_fresh_forgets_what_is_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance_run, "_waited", Processes(lambda specs: (len(specs), 0)))
    kept = folder / "conformance" / "records"
    kept.mkdir(parents=True)
    (kept / "old.json").write_text(json.dumps({"code": code_version()}))
    run_conformance([], folder, FEW)
    assert (kept / "old.json").exists()
    run_conformance([], folder, FEW, fresh=True)
    assert not (kept / "old.json").exists()


def test_the_command_hands_its_options_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = argparse.ArgumentParser()
    conformance_command.add_parser(root.add_subparsers())
    asked: list[Any] = []

    def spy(*arguments: Any) -> int:
        asked.extend(arguments)
        return 3

    monkeypatch.setattr(conformance_command, "run_conformance", spy)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (folder / "fishergauge.toml").write_text("")
    chosen = [
        "--quick",
        "--dtype",
        "float32",
        "--seed",
        "3",
        "--problem-file",
        "p.py",
        "-j",
        "2",
        "--fresh",
        "--out",
        "results",
    ]
    given = ["conformance", "a.py:x", "b.py:y", *chosen]
    options = root.parse_args(given)
    options.given = given
    assert options.run(options) == 3
    specs, out, options, command, fresh = asked
    assert (specs, out, fresh) == (["a.py:x", "b.py:y"], Path("results"), True)
    assert options == ConformanceOptions(
        quick=True, dtype="float32", seed=3, problem_files=("p.py",), expected="fishergauge.toml", jobs=2
    )
    assert command == "fishergauge " + " ".join(given)
