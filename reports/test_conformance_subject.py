"""One subject of a conformance run: what is kept and when it is used again, what is refused, what becomes of failures."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.conformance_kept import forget_other_code
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import LEFT_OUT, REFERENCE, is_reference, reference_specs
from fishergauge.reports.conformance_subject import examined
from fishergauge.suites.loading import load_subject
from fishergauge.suites.records_file import read_records

SUBJECTS = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject
import scale

def right(problem):
    return fisher(problem).dense()

good = Subject("good", right)
twice = Subject("twice", lambda problem: scale.FACTOR * right(problem), expected_failures={"T1@*": "twice as much"})
homonym = Subject("good", lambda problem: 2 * right(problem))
broken = 3
"""
FEW = ConformanceOptions(problems="linear-regression", claims="T1,T26-symmetric")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    (tmp_path / "scale.py").write_text("FACTOR = 2\n")
    (tmp_path / "records").mkdir()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_") or name == "scale"]:
        del sys.modules[name]


def run(spec: str = "mine.py:good", options: ConformanceOptions = FEW, **taken: str) -> dict[str, Any]:
    """One subject, loaded anew as in a process of its own."""
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_") or name == "scale"]:
        del sys.modules[name]
    return examined(spec, options, Path("records"), taken)


def test_an_entry_says_what_a_reader_needs() -> None:
    entry = run()
    assert entry["counts"] == {"holds": 2}
    assert (entry["name"], entry["library"], entry["origin"], entry["error" if "error" in entry else "exit_code"]) == (
        "good",
        "yours",
        "yours",
        0,
    )
    assert entry["declared"] == "target fisher, structure dense"
    assert entry["command"] == "fishergauge check mine.py:good"
    assert entry["timed_seconds"] > 0
    assert {"python", "torch"} <= entry["versions"].keys()
    records = read_records(Path("records") / f"{entry['digest']}.jsonl")
    assert [record.claim for record in records] == ["T1", "T26-symmetric"]


def test_a_finished_subject_is_kept_until_something_that_it_depends_on_changes(folder: Path) -> None:
    first = run("mine.py:twice")
    again = run("mine.py:twice", replace(FEW, jobs=2))
    assert again == first | {"kept": True}
    assert run("mine.py:twice", replace(FEW, seed=1))["digest"] != first["digest"]
    (folder / "scale.py").write_text("FACTOR = 4\n")
    changed = run("mine.py:twice")
    assert "kept" not in changed
    assert changed["digest"] != first["digest"]
    measured = [read_records(Path("records") / f"{one['digest']}.jsonl")[0].measured for one in (first, changed)]
    assert measured == pytest.approx([1, 3])
    (folder / "later.py").write_text("# may be imported while a subject runs\n")
    assert "kept" not in run("mine.py:twice")


def test_a_damaged_result_is_computed_again() -> None:
    first = run()
    records, entry = (Path("records") / f"{first['digest']}{ending}" for ending in (".jsonl", ".json"))
    whole = records.read_text()
    records.write_text(whole[:-50])
    assert "kept" not in run()
    assert len(read_records(records)) == 2
    entry.write_text(entry.read_text()[:-9])
    assert "kept" not in run()
    records.write_text(whole.splitlines(keepends=True)[0])
    assert "kept" not in run()
    assert "kept" in run()


def test_results_of_other_code_are_removed() -> None:
    first = run()
    entry = Path("records") / f"{first['digest']}.json"
    forget_other_code(Path("records"))
    assert entry.exists()
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"code": "0.0.1+0"}))
    forget_other_code(Path("records"))
    assert not list(Path("records").iterdir())


def test_declared_failures_are_kept_with_their_reasons_and_expire(folder: Path) -> None:
    entry = run("mine.py:twice")
    assert entry["counts"] == {"holds": 1, "expected": 1}
    assert entry["exit_code"] == 0
    assert entry["expected"][0] == {
        "claim": "T1",
        "problem": "*",
        "reason": "twice as much",
        "origin": "subject twice, expected failure 'T1@*'",
    }
    toml = '[[expected]]\nsubject = "go*"\nclaim = "T1"\nreason = "known"\nissue = "#3"\nexpires = {}\n'
    Path("known.toml").write_text(toml.format("2001-01-31"))
    late = run(options=replace(FEW, expected="known.toml"))
    assert late["exit_code"] == 1
    assert "expired on 2001-01-31" in late["complaints"][0]
    assert late["expected"][0]["expires"] == "2001-01-31"
    assert late["expected"][0]["issue"] == "#3"


def test_what_the_user_has_to_mend_is_refused() -> None:
    assert run("mine.py:homonym", good="mine.py:good")["refused"] == (
        "two subjects are called 'good': mine.py:good and mine.py:homonym; give each a name of its own"
    )
    assert "--claims 'T99' matches nothing" in run(options=replace(FEW, claims="T99"))["refused"]
    assert "nowhere.py" in run(options=replace(FEW, problem_files=("nowhere.py",)))["refused"]
    assert "nowhere.toml" in run(options=replace(FEW, expected="nowhere.toml"))["refused"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [("mine.py:nothing", "no attribute 'nothing'"), ("gone.py:good", "no file 'gone.py'"), ("mine.py:broken", "is a int")],
)
def test_a_subject_that_cannot_be_loaded_is_an_entry_with_the_reason(folder: Path, spec: str, said: str) -> None:
    entry = run(spec)
    assert entry["name"] == spec
    assert said in entry["error"]
    assert str(folder) not in entry["error"]
    assert (entry["exit_code"], entry["checks"]) == (1, 0)
    assert not list(Path("records").iterdir())


def test_a_claim_that_nothing_examined_is_vacuous() -> None:
    Path("shy.py").write_text("def shy(problem):\n    raise NotImplementedError('not here')\n")
    entry = run("shy.py:shy", replace(FEW, quick=True))
    assert entry["exit_code"] == 3
    assert set(entry["vacuous"]) == {"T1", "T26-symmetric"}


def test_the_reference_quantities_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    specs = reference_specs()
    assert [load_subject(spec).name for spec in specs] == list(REFERENCE)
    assert all(map(is_reference, specs))
    assert set(specs) - set(reference_specs(quick=True)) == {specs[list(REFERENCE).index(name)] for name in LEFT_OUT}
    assert not is_reference("mine.py:good")
    assert main(["check", specs[0], "--claims", "T1", "--problems", "linear-regression", "-j", "1"]) == 0
    assert "1 check: 1 holds" in capsys.readouterr().out
    entry = run(specs[0], replace(FEW, expected="nowhere.toml"))
    assert (entry["library"], entry["origin"], entry["name"]) == ("fishergauge", "reference", "exact-fisher")
