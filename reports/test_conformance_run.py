"""A run of the kit on many subjects: what is written, what is kept, what becomes of failures, and what is refused."""

import json
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports import conformance_command, conformance_run
from fishergauge.reports.cli import main
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import reference_specs
from fishergauge.reports.conformance_run import CELLS, asked_of, run_conformance
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_conformance import records_of
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.reports.usage import UsageError
from fishergauge.suites.records_file import read_records

SUBJECTS = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject
import scale

def right(problem):
    return fisher(problem).dense()

def refusing(problem):
    raise NotImplementedError("not here")

good = Subject("good", right)
twice = Subject("twice", lambda problem: scale.FACTOR * right(problem), expected_failures={"T1@*": "twice as much"})
homonym = Subject("good", lambda problem: 2 * right(problem))
wrong = Subject("wrong", lambda problem: 3 * right(problem))
shy = Subject("shy", refusing)
"""
FEW = ConformanceOptions(problems="linear-regression", claims="T1,T26-symmetric")
REFERENCE = reference_specs()[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    (tmp_path / "scale.py").write_text("FACTOR = 2\n")
    (tmp_path / "dies.py").write_text("import os\nos._exit(7)\n")
    yield tmp_path
    forget()


def forget() -> None:
    """The modules of subjects, as a new process would not know them."""
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_") or name == "scale"]:
        del sys.modules[name]


class Counting:
    """The serial engine, which says how many cells it was given, and stops after some of them where it is told to.

    Args:
        most: cells that it computes before it is interrupted.
        wrong: part of the label of those that fail.
    """

    name = "counting"

    def __init__(self, most: int | None = None, wrong: str = "") -> None:
        self.most, self.wrong, self.given = most, wrong, 0

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        self.given += len(cells)
        for number, line in enumerate(SerialEngine().run([replace(cell, group="") for cell in cells])):
            if number == self.most:
                raise KeyboardInterrupt
            own = replace(line, cell=cells[number])
            yield replace(own, verdict="failed", error="out of order") if self.wrong and self.wrong in str(own.cell) else own


def run(*specs: str, options: ConformanceOptions = FEW, engine: Any = None, out: str = "out") -> int:
    """A run as in a process of its own."""
    forget()
    store = SweepStore(Path(out) / "conformance" / CELLS)
    return run_conformance(asked_of(specs, options), Path(out), store, engine or Counting(), "fishergauge conformance ...")


def content(out: str = "out") -> Any:
    return json.loads((Path(out) / "conformance" / "subjects.json").read_text())


def test_an_entry_says_what_a_reader_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mine.py:good") == 0
    (entry,) = content()["subjects"]
    assert (entry["name"], entry["library"], entry["origin"], "error" in entry) == ("good", "yours", "yours", False)
    assert entry["counts"] == {"holds": 2}
    assert entry["declared"] == "target fisher, structure dense"
    assert entry["command"] == "fishergauge check mine.py:good"
    assert entry["timed_seconds"] > 0
    assert {"python", "torch"} <= entry["versions"].keys()
    assert not {"kept", "exit_code", "spec", "code"} & entry.keys()
    records = read_records(Path("out/conformance/records.jsonl"))
    assert [(record.subject, record.claim) for record in records] == [("good", "T1"), ("good", "T26-symmetric")]
    assert records[0].again == ""
    assert (content()["options"]["claims"], content()["unfinished"]) == ("T1,T26-symmetric", [])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("good: 2 checks: 2 holds; ")
    assert printed[-1] == "1 subject, 2 checks: 2 holds"


def test_a_subject_that_ends_its_process_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dies.py:x", str(folder / "mine.py:good")) == 1
    dead, good = content()["subjects"]
    assert dead["error"] == "the process ended with exit code 7 while it was imported"
    assert (dead["name"], dead["checks"], dead["counts"]) == ("dies.py:x", 0, {})
    assert (good["name"], good["counts"], good["command"]) == ("good", {"holds": 2}, "fishergauge check mine.py:good")
    assert str(folder) not in Path("out/conformance/subjects.json").read_text()
    printed = capsys.readouterr().out
    assert "dies.py:x: not checked: the process ended with exit code 7" in printed
    assert printed.splitlines()[-1] == "2 subjects, 2 checks: 2 holds; 1 subject could not be checked"


@pytest.mark.parametrize(
    ("spec", "said"),
    [("mine.py:nothing", "no attribute 'nothing'"), ("gone.py:good", "no file 'gone.py'"), ("mine.py:scale", "is a module")],
)
def test_a_subject_that_cannot_be_loaded_is_an_entry_with_the_reason(folder: Path, spec: str, said: str) -> None:
    assert run(spec) == 1
    (entry,) = content()["subjects"]
    assert entry["name"] == spec
    assert said in entry["error"]
    assert str(folder) not in entry["error"]
    assert Path("out/conformance/records.jsonl").read_text() == ""


def test_finished_checks_are_kept_until_something_that_they_depend_on_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Counting()
    assert run("mine.py:twice", engine=engine) == 0
    (first,) = content()["subjects"]
    before = Path("out/conformance/records.jsonl").read_bytes()
    assert run("mine.py:twice", options=replace(FEW, jobs=2), engine=engine) == 0
    assert engine.given == 1
    assert content()["subjects"] == [first]
    assert Path("out/conformance/records.jsonl").read_bytes() == before
    assert "twice: 2 checks: 1 holds, 1 expected (kept from an earlier run)" in capsys.readouterr().out
    for number, options in enumerate((replace(FEW, seed=1), replace(FEW, limit=5.0), replace(FEW, claims="T1")), 2):
        run("mine.py:twice", options=options, engine=engine)
        assert engine.given == number
    (folder / "scale.py").write_text("FACTOR = 4\n")
    run("mine.py:twice", engine=engine)
    assert engine.given == 5
    assert read_records(Path("out/conformance/records.jsonl"))[0].measured == pytest.approx(3)
    (folder / "later.py").write_text("# may be imported while a subject runs\n")
    run("mine.py:twice", engine=engine)
    assert engine.given == 6


def test_a_damaged_line_is_computed_again(capsys: pytest.CaptureFixture[str]) -> None:
    run("mine.py:good")
    cells = Path("out/conformance") / CELLS
    cells.write_text(cells.read_text()[:-50])
    engine = Counting()
    run("mine.py:good", engine=engine)
    assert engine.given == 1
    assert "damaged and left out" in capsys.readouterr().out
    assert len(read_records(Path("out/conformance/records.jsonl"))) == 2


def test_declared_failures_are_kept_with_their_reasons_and_expire() -> None:
    run("mine.py:twice")
    (entry,) = content()["subjects"]
    assert entry["counts"] == {"holds": 1, "expected": 1}
    assert entry["expected"] == [
        {"claim": "T1", "problem": "*", "reason": "twice as much", "origin": "subject twice, expected failure 'T1@*'"}
    ]
    toml = '[[expected]]\nsubject = "go*"\nclaim = "T1"\nreason = "known"\nissue = "#3"\nexpires = 2001-01-31\n'
    Path("known.toml").write_text(toml)
    engine = Counting()
    assert run("mine.py:good", options=replace(FEW, expected="known.toml"), engine=engine) == 1
    (late,) = content()["subjects"]
    assert "expired on 2001-01-31" in late["complaints"][0]
    assert (late["expected"][0]["expires"], late["expected"][0]["issue"]) == ("2001-01-31", "#3")
    assert run("mine.py:good", engine=engine) == 0  # what is judged is not computed anew
    assert engine.given == 1


def test_a_claim_that_nothing_examined_is_vacuous_and_told_from_a_red_one() -> None:
    assert run("mine.py:good", "mine.py:shy") == 3
    assert set(content()["subjects"][1]["vacuous"]) == {"T1", "T26-symmetric"}
    assert run("mine.py:good", "mine.py:shy", "mine.py:wrong") == 1


def test_an_interrupted_run_writes_what_is_finished_and_goes_on() -> None:
    specs = ("mine.py:good", "mine.py:twice", "mine.py:wrong")
    with pytest.raises(KeyboardInterrupt):
        run(*specs, engine=Counting(most=2))
    assert [one["name"] for one in content()["subjects"]] == ["good", "twice"]
    assert content()["unfinished"] == ["mine.py:wrong"]
    assert len(read_records(Path("out/conformance/records.jsonl"))) == 4
    engine = Counting()
    assert run(*specs, engine=engine) == 1
    assert engine.given == 1
    assert [one["name"] for one in content()["subjects"]] == ["good", "twice", "wrong"]


def test_a_part_that_fails_fails_its_subject_and_is_tried_again() -> None:
    problems = ",".join(("linear-regression", "softmax-regression", "mlp-tanh-gaussian"))
    options = replace(FEW, problems=problems)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fishergauge.reports.sweep.cells_of_conformance.PROBLEMS", 1)
        assert run("mine.py:good", "mine.py:shy", options=options, engine=Counting(wrong="good, part 2 of 3")) == 1
        good, _ = content()["subjects"]
        assert good["error"] == "1 of 3 parts could not be checked: out of order"
        assert good["declared"] == "target fisher, structure dense"
        engine = Counting()
        assert run("mine.py:good", options=options, engine=engine) == 0
        assert engine.given == 1
        assert content()["subjects"][0]["counts"] == {"holds": 6}
        patch.setattr("fishergauge.reports.sweep.cells_of_conformance.PROBLEMS", 2)  # the first and the third, and the second
        assert run("mine.py:good", options=options, out="pairs") == 0
    orders = [[(r.claim, r.problem) for r in read_records(Path(out) / "conformance/records.jsonl")] for out in ("out", "pairs")]
    assert orders[0] == orders[1]
    assert len(orders[0]) == 6


def test_what_the_user_has_to_mend_is_refused_before_anything_is_checked() -> None:
    cases: list[tuple[tuple[str, ...], ConformanceOptions, str]] = [
        (("mine.py:good", str(Path.cwd() / "mine.py:good")), FEW, r"the subject mine\.py:good is given twice"),
        (
            ("mine.py:good", "mine.py:homonym"),
            FEW,
            r"two subjects are called 'good': mine\.py:good and mine\.py:homonym; give each a name of its own",
        ),
        (("mine.py:good",), replace(FEW, claims="T99"), "--claims 'T99' matches nothing"),
        (("mine.py:good",), replace(FEW, problem_files=("nowhere.py",)), r"nowhere\.py"),
        (("mine.py:good",), replace(FEW, expected="nowhere.toml"), r"nowhere\.toml"),
    ]
    for specs, options, said in cases:
        with pytest.raises(UsageError, match=said):
            asked_of(specs, options)


def test_problems_of_the_user_are_part_of_what_a_check_depends_on(folder: Path) -> None:
    text = """
from torch import nn
from fishergauge.reference import Problem
def tiny(s):
    return Problem(s.module(lambda: nn.Linear(2, 1)), nn.MSELoss(), [(s.normal(4, 2), s.normal(4, 1))])
problems = [tiny]
"""
    (folder / "own.py").write_text(text)
    options, engine = replace(FEW, problems="tiny", problem_files=("own.py",)), Counting()
    assert run("mine.py:good", options=options, engine=engine) == 0
    (entry,) = content()["subjects"]
    assert entry["counts"] == {"holds": 2}
    assert entry["command"] == "fishergauge check mine.py:good --problem-file own.py"
    (cell,) = asked_of(["mine.py:good"], options).all_cells
    (folder / "own.py").write_text(f"{text}# changed")
    with pytest.raises(RuntimeError, match=r"own\.py: not as where the sweep was begun; copy them to all machines"):
        records_of(**dict(cell.settings))  # type: ignore[arg-type]
    run("mine.py:good", options=options, engine=engine)
    assert engine.given == 2


def test_the_reference_quantities_are_the_default_and_subjects_of_the_user_are_kept_apart() -> None:
    asked = asked_of([], replace(FEW, quick=True))
    assert list(asked.specs) == reference_specs(quick=True)
    assert {cell.group for cell in asked.all_cells} == {""}
    asked = asked_of([REFERENCE, "mine.py:good", "mine.py:wrong"], FEW)
    assert [cell.group for cell in asked.all_cells] == ["", "mine.py:good", "mine.py:wrong"]
    assert [cell.group for cell in asked_of([REFERENCE, "mine.py:good"], FEW).all_cells] == ["", ""]


def test_the_command_keeps_joins_shards_and_begins_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--claims", "T1", "--problems", "linear-regression", "-j", "1"]
    given = ["conformance", "mine.py:good", REFERENCE, *few]
    for number in (1, 2):
        assert main([*given, "--out", f"part{number}", "--shard", f"{number}/2"]) == 0
        assert not (folder / f"part{number}" / "conformance" / "subjects.json").exists()
    assert "shard 2/2: 1 of 2 cells in part2/conformance/cells.jsonl, 0 failed" in capsys.readouterr().out
    joined = "".join((folder / f"part{number}" / "conformance" / CELLS).read_text() for number in (1, 2))
    (folder / "out" / "conformance").mkdir(parents=True)
    (folder / "out" / "conformance" / CELLS).write_text(joined)
    forget()
    assert main(given) == 0
    assert "good: 1 check: 1 holds (kept from an earlier run)" in capsys.readouterr().out
    assert (folder / "out" / "conformance" / CELLS).read_text() == joined
    forget()
    assert main([*given, "--fresh"]) == 0
    assert "kept" not in capsys.readouterr().out


def test_the_command_hands_its_options_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def spy(specs: Any, options: Any) -> Any:
        asked.extend((specs, options))
        raise UsageError("enough")

    monkeypatch.setattr(conformance_run, "asked_of", spy)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (folder / "fishergauge.toml").write_text("")
    chosen = ["--quick", "--dtype", "float32", "--seed", "3", "--problem-file", "p.py", "-j", "2", "--out", "results"]
    assert main(["conformance", "a.py:x", "b.py:y", *chosen]) == 2
    specs, options = asked
    assert specs == ["a.py:x", "b.py:y"]
    assert options == ConformanceOptions(
        quick=True, dtype="float32", seed=3, problem_files=("p.py",), expected="fishergauge.toml", jobs=2
    )
    assert conformance_command.EXPECTED == "fishergauge.toml"
