"""``fishergauge probe``: its tables, exit codes, files and refusals."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishergauge.reports import compare_command, probe_command
from fishergauge.reports.page.probes_part import collect
from fishergauge.suites.subject import Subject

SUBJECTS = """
import os
from fishergauge.reference import ggn
from fishergauge.suites import Subject

class Times:
    def __init__(self, problem, factor=1.0):
        self.exact, self.factor = ggn(problem), factor
        self.shape = self.exact.shape

    def __matmul__(self, vectors):
        return self.factor * (self.exact @ vectors)

def refuses(problem):
    raise NotImplementedError("nothing at all")

good = Subject("mine", Times, "ggn")
bad = Subject("mine", lambda problem: Times(problem, 1.5), "ggn")
shy = Subject("shy", refuses, "ggn")
deadly = Subject("deadly", lambda problem: os._exit(7), "ggn")
"""
OWN = """
from torch import nn
from fishergauge.suites import Problem
def plane(s):
    return Problem(s.module(lambda: nn.Linear(30, 2)), nn.MSELoss(), [(s.normal(4, 30), s.normal(4, 2))])
problems = [plane]
"""
FEW = ["--problem-file", "own.py", "--probes", "exact,symmetric"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    (tmp_path / "own.py").write_text(OWN)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def main(*arguments: str) -> int:
    root = argparse.ArgumentParser(prog="fishergauge")
    commands = root.add_subparsers(dest="command", required=True)
    probe_command.add_parser(commands)
    compare_command.add_parser(commands)
    options = root.parse_args(arguments)
    options.given = list(arguments)
    return int(options.run(options))


def test_a_right_subject_ends_with_0_and_a_wrong_one_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "mine.py:good", *FEW) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "mine on plane (P = 62, float64, cpu, seed 0)"
    assert "what these probes cannot see" in out
    assert "bytes a parameter" in out
    assert out.splitlines()[-1].startswith("2 probes: 2 holds; ")
    assert main("probe", "mine.py:bad", *FEW, "--seed", "3") == 1
    out = capsys.readouterr().out
    assert "violated  probe-exact   mine on plane (float64, cpu, seed 3)" in out
    assert "ratio to the expected block 1.5 = 3/2 in every entry" in out
    assert max(map(len, out.splitlines())) <= 120


def test_the_command_that_a_message_gives_repeats_that_probe(capsys: pytest.CaptureFixture[str]) -> None:
    main("probe", "mine.py:bad", *FEW, "--dtype", "float32")
    lines = capsys.readouterr().out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  again"))
    command = lines[first].removeprefix("  again").strip()
    while command.endswith("\\"):
        first += 1
        command = command.removesuffix("\\") + lines[first].strip()
    assert command == (
        "fishergauge probe mine.py:bad --problem-file own.py --probes probe-exact --problems plane --seed 0 --dtype float32"
    )
    assert main(*command.split()[1:]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 probe: 1 violated; ")


def test_records_are_written_and_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "mine.py:good", *FEW, "--json", "good.jsonl") == 0
    assert main("probe", "mine.py:bad", *FEW, "--json", "bad.jsonl") == 1
    record = json.loads((folder / "bad.jsonl").read_text().splitlines()[-1])
    assert (record["schema"], record["claim"], record["verdict"]) == (1, "probe-exact", "violated")
    assert record["num_parameters"] == 62
    assert record["products"] > 0
    assert record["peak_bytes"] > 24 * 8 * 62
    capsys.readouterr()
    assert main("compare", "good.jsonl", "bad.jsonl") == 1
    assert "holds -> violated" in capsys.readouterr().out
    assert main("compare", "good.jsonl", "good.jsonl") == 0


def test_a_subject_that_refuses_everything_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "mine.py:shy", *FEW) == 3
    out = capsys.readouterr().out
    assert "vacuous   probe-symmetric, probe-exact: not executed" in out
    assert "nothing at all" in out


def test_a_subject_that_ends_its_process_is_a_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "mine.py:deadly", *FEW, "--json", "run.jsonl") == 1
    assert "the process ended with exit code 7" in capsys.readouterr().out
    assert [json.loads(line)["verdict"] for line in (folder / "run.jsonl").read_text().splitlines()] == ["error", "error"]


def test_several_subjects_go_into_one_file_and_the_worst_decides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "mine.py:bad", "mine.py:shy", *FEW, "--json", "run.jsonl", "--out", "out") == 1
    out = capsys.readouterr().out
    assert "mine on plane" in out
    assert out.splitlines()[-1].startswith("2 subjects, 4 probes: 1 holds, 1 violated, 2 unsupported; ")
    assert "vacuous   probe-symmetric, probe-exact: not executed" in out
    assert main("probe", "mine.py:good", "mine.py:shy", *FEW, "--out", "out") == 3
    capsys.readouterr()
    assert main("probe", "mine.py:good", "mine.py:bad", *FEW, "--out", "new") == 2
    assert "'mine' is also the name of another subject" in capsys.readouterr().err
    assert not (folder / "new").exists()
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert {record["subject"] for record in records} == {"mine", "shy"}


def test_the_folder_holds_what_the_report_shows(folder: Path) -> None:
    main("probe", "mine.py:bad", *FEW, "--out", "out", "--seed", "3")
    part = collect(folder / "out")
    (table,) = part.data["tables"]
    assert (part.red, table["subject"], table["problem"], table["parameters"]) == (1, "mine", "plane", 62)
    command = "fishergauge probe mine.py:bad --problem-file own.py --probes exact,symmetric --out out --seed 3"
    assert part.data["command"] == command
    run = json.loads((folder / "out" / "probes" / "probes.json").read_text())
    assert (run["provenance"]["seed"], run["plan"]["dtype"]) == (3, "float64")
    assert run["subjects"][0]["target"] == "ggn"
    main("probe", "mine.py:deadly", *FEW, "--out", "out")  # in the place of the earlier run
    assert [table["subject"] for table in collect(folder / "out").data["tables"]] == ["deadly"]
    main("probe", "mine.py:shy", *FEW, "--out", "out")
    assert collect(folder / "out").data["subjects"][0]["vacuous"].keys() == {"probe-exact", "probe-symmetric"}


def test_what_is_finished_is_kept_when_the_run_is_interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fishergauge.suites.probes import probing

    probe = probing.probe

    def interrupted(subject: Subject, **options: object) -> object:
        if subject.name == "deadly":
            raise KeyboardInterrupt
        return probe(subject, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(probing, "probe", interrupted)
    assert main("probe", "mine.py:good", "mine.py:deadly", *FEW, "--json", "run.jsonl", "--out", "out") == 130
    assert len((folder / "run.jsonl").read_text().splitlines()) == 2
    assert [table["subject"] for table in collect(folder / "out").data["tables"]] == ["mine"]


def test_what_there_is_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", "--list") == 0
    out = capsys.readouterr().out
    assert "probe-psd\n" in out
    assert "stands for  T26-psd" in out
    assert "transformer-1e7" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a subject: "),
        (["mine.py"], "write mine.py:ATTRIBUTE. Subjects in it: good, bad, shy, deadly"),
        (["mine.py:good", "--problems", "mpl-*"], "--problems 'mpl-*' matches nothing; did you mean mlp-"),
        (["mine.py:good", "--probes", "probe-pds"], "--probes 'probe-pds' matches nothing; did you mean probe-psd"),
        (["mine.py:good", "--probes", " "], "--probes is empty"),
        (["mine.py:good", "--size", "1e9"], "--size '1e9': the problems have 1e4, 1e5, 1e6, 1e7 parameters"),
        (["mine.py:good", "--size", "1e6", "--problems", "mlp-1e4"], "has no problem of --size 1e6; leave one of the two out"),
        (["mine.py:good", "--device", "abacus"], "'abacus' is no device; use cpu or cuda"),
        (["mine.py:good", "--limit", "0"], "--limit 0.0: give a number of seconds above 0"),
        (["mine.py:good", "--json", "."], "this is a folder"),
        (["mine.py:good", "--out", "mine.py"], "--out mine.py is a file; name a folder"),
        (["mine.py:good", "--problem-file", "none.py"], "none.py does not exist"),
        (["mine.py:good", "--problem-file", "mine.py"], "mine.py defines no 'problems'"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("probe", *arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
