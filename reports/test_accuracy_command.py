"""``fishergauge accuracy`` measures, judges, writes, and refuses what it cannot do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from fishergauge.reports.accuracy_artefacts import write_artefacts
from fishergauge.reports.accuracy_execution import Plan, measure_accuracy
from fishergauge.reports.accuracy_front import with_fronts
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_tables import red_lines, result, sections
from fishergauge.reports.cli import main

pytest.importorskip("matplotlib")

SUBJECTS = """
import os
import torch
from fishergauge.reference import fisher
from fishergauge.suites import Subject

def right(problem):
    return fisher(problem).dense()

def damped(problem):
    matrix = right(problem)
    return matrix + 0.1 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)

def refuses(problem):
    raise NotImplementedError("nothing at all")

def exits(problem):
    os._exit(3)

def hostile(problem):
    raise ValueError("<script>alert(1)</script> | x")

good = Subject("good", right)
twin = Subject("good", damped)
wrong = Subject("wrong", damped)
shy = Subject("shy", refuses)
gone = Subject("gone", exits)
evil = Subject("<b>evil</b>|", hostile)
taken = Subject("kfac-joint", right)
"""
FEW = ["--problems", "saturated-softmax", "--approximations", "exact-fisher,kfac-joint,scaled-identity,low-rank-16", "-j", "1"]
FILES = ["accuracy.csv", "accuracy.json", "accuracy.md", "accuracy.png", "accuracy.svg"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def untimed(path: Path) -> str:
    """A file without what is marked as differing from run to run."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        return json.dumps([{k: v for k, v in row.items() if not k.startswith("timed_")} for row in content["rows"]])
    if path.suffix == ".csv":
        table = pd.read_csv(path)
        return str(table[[name for name in table.columns if not name.startswith("timed_")]].to_csv())
    return path.read_bytes().hex()


def test_a_run_writes_its_files_and_another_one_the_same_but_for_times(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", *FEW]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert lines[-1].startswith("1 problem, 4 rows: 3 measured, 1 refused; ")
    assert max(map(len, lines[:-2])) <= 120
    assert "  refused: low-rank-16: a rank of 16 is more than the 12 parameters." in lines
    out = folder / "out" / "accuracy"
    assert sorted(path.name for path in out.iterdir()) == [*FILES, "provenance.json"]
    content = json.loads((out / "accuracy.json").read_text())
    assert sorted(content) == ["plan", "problems", "provenance", "rows", "schema"]
    assert content["schema"] == 1
    assert content["provenance"]["command"] == "fishergauge accuracy " + " ".join(FEW)
    assert content["provenance"]["versions"]["torch"]
    assert content["problems"][0]["parameters"] == 12
    assert content["problems"][0]["result"] in (out / "accuracy.md").read_text()
    assert [*content["rows"][0]][: len(fields(Row))] == [field.name for field in fields(Row)]
    assert len(pd.read_csv(out / "accuracy.csv")) == 4
    assert sorted(json.loads((out / "provenance.json").read_text())["artefacts"]) == FILES
    before = {name: untimed(out / name) for name in FILES}
    assert main(["accuracy", *FEW]) == 0
    assert {name: untimed(out / name) for name in FILES} == before


def test_a_subject_is_told_whether_it_is_worth_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", *FEW, "--subject", "mine.py:good", "mine.py:wrong"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "good is on the front." in out
    assert "wrong is dominated by exact Fisher, which is no farther and costs no more." in out


def test_errors_end_with_1_and_a_subject_that_refuses_everything_with_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", *FEW, "--subject", "mine.py:shy"]) == 3
    assert "vacuous: shy refuses every problem" in capsys.readouterr().out
    assert main(["accuracy", *FEW, "--subject", "mine.py:evil", "mine.py:gone", "mine.py:shy"]) == 1
    out = capsys.readouterr().out
    assert "error: gone on saturated-softmax: the process ended with exit code 3" in out
    document = (folder / "out" / "accuracy" / "accuracy.md").read_text()
    assert "4 rows" not in document
    assert "7 rows: 3 measured, 2 refused, 2 error" in document


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--problems", "mlp-smal"], "--problems 'mlp-smal' matches nothing; did you mean mlp-small"),
        (["--approximations", "kfca*"], "(fishergauge accuracy --list lists the names)"),
        (["--subject", "mine.py:good", "mine.py:twin"], "'good' is also the name of another subject"),
        (["--subject", "mine.py:taken"], "'kfac-joint' is also the name of an approximation of the catalogue"),
        (["--subject", "mine.py:godo"], "Did you mean good"),
        (["--seed", "-1"], "--seed -1: give a whole number"),
        (["--limit", "0"], "--limit 0.0: give a number of seconds"),
        (["--limit", "nan"], "--limit nan: give a number of seconds"),
        (["--out", "mine.py"], "--out mine.py is a file; name a folder"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", *FEW, *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not (folder / "out").exists()


def test_the_quick_form_has_fewer_problems_and_a_list_measures_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", "--list"]) == 0
    out = capsys.readouterr().out
    assert "saturated-softmax" in out
    assert "kfac-joint" in out
    assert not (folder / "out").exists()
    help_text = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fishergauge.reports.cli", "accuracy", "--help"],
        capture_output=True,
        text=True,
    )
    assert "exit code: 0 if everything was measured or refused" in help_text.stdout
    assert " torch" not in help_text.stderr  # it is imported for work alone


def test_the_command_line_without_choices_takes_all_and_quick_less() -> None:
    from argparse import ArgumentParser

    from fishergauge.reports.accuracy_command import add_parser, plan_of

    parser = ArgumentParser()
    add_parser(parser.add_subparsers())
    full, quick = (plan_of(parser.parse_args(["accuracy", *more])) for more in ([], ["--quick"]))
    assert len(full.problems) == 6
    assert 2 <= len(quick.problems) < len(full.problems)
    assert quick.approximations == full.approximations
    assert (quick.quick, full.quick) == (True, False)


def test_several_processes_give_the_same_rows_in_the_same_order() -> None:
    plan = Plan(("deep-linear-three", "saturated-softmax"), ("exact-fisher", "kfac-joint", "monte-carlo-1"))
    one, two = ([replace(row, timed_seconds=None) for row in measure_accuracy(plan, jobs)] for jobs in (1, 2))
    assert one == two
    assert [(row.problem, row.approximation) for row in one][:4] == [
        ("deep-linear-three", "exact-fisher"),
        ("deep-linear-three", "kfac-joint"),
        ("deep-linear-three", "monte-carlo-1"),
        ("saturated-softmax", "exact-fisher"),
    ]


def _rows() -> list[Row]:
    made = [
        Row(
            "mlp-small",
            "exact-fisher",
            "exact Fisher",
            "whole",
            flops=1000,
            distance=0.0,
            exact=True,
            step_flops=3000,
            step_error=0.0,
        ),
        Row("mlp-small", "kfac", "K-FAC", "kronecker", flops=100, distance=0.25, exact=False, step_flops=200, step_error=0.5),
        Row("mlp-small", "diag", "diagonal", "diagonal", flops=200, distance=0.5, exact=False, step_flops=300, step_error=0.75),
        Row("mlp-small", "a|b", "a|b", "subject", flops=300, distance=0.375, exact=False),
        Row("mlp-small", "bad", "bad", "kronecker", outcome="error", reason="boom"),
    ]
    return with_fronts(made, 1e-12)


def test_the_result_says_who_is_worth_the_cost() -> None:
    said = result(_rows())
    assert said.startswith("2 of 4 approximations are on the front, from K-FAC (100 FLOPs, distance 0.25) to exact Fisher ")
    assert "Below half of the cost of the exact one, K-FAC is nearest: 0.25 for 10 %." in said
    assert "The exact damped step costs least by exact Fisher: 3 k FLOPs." in said
    assert said.endswith("a|b is dominated by K-FAC, which is no farther and costs no more.")
    assert result([_rows()[4]]) == "Nothing was measured here."
    only_exact = with_fronts([_rows()[0]], 1e-12)
    assert "Nothing that costs less than half of the exact one is on the front." in result(only_exact)


def test_tables_begin_with_the_cheapest_and_say_what_failed() -> None:
    (section,) = sections(_rows())
    assert [line[0] for line in section.rows] == ["kfac", "diag", "a|b", "exact-fisher"]
    assert section.below == ["error: bad: boom."]
    assert r"| a\|b |" in section.markdown()
    assert red_lines(_rows()) == ["error: bad on mlp-small: boom"]


def test_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> list[Path]:
        raise OSError("disk full")

    monkeypatch.setattr("fishergauge.reports.accuracy_artefacts.draw_accuracy", failing)
    with pytest.raises(OSError, match="disk full"):
        write_artefacts(_rows()[:4], Plan(("mlp-small",)), "fishergauge accuracy", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
