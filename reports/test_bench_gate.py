"""The gate as the command line has it, with real measurements: what is planted in a subject turns the run red."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fishergauge.reports.cli import main
from fishergauge.suites.benchmarks.record import read_records

SUBJECT = """
import torch
from fishergauge.reference import ggn
from fishergauge.suites import Subject
def build(problem):
    {planted}
    return ggn(problem).dense()
mine = Subject("mine", build, "ggn")
"""
RUN = ["bench", "--problems", "softmax-small", "--tasks", "ggn/dense,ggn/product", "--implementations", "mine", "--no-time"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield
    forget()


def forget() -> None:
    """Subjects are read anew by the next run, as by another process."""
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def bench(*arguments: str, planted: str = "pass") -> int:
    """A run of the command with a version of the subject."""
    Path("mine.py").write_text(SUBJECT.format(planted=planted))
    forget()
    return main([*RUN, "--subject", "mine.py:mine", *arguments])


def rewrite(**changes: Any) -> None:
    """Change the lines of the baseline."""
    path = Path("base.jsonl")
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**each, **changes}) + "\n" for each in lines))


def test_ten_unchanged_runs_in_a_row_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--json", "base.jsonl") == 0
    for _ in range(10):
        assert bench("--baseline", "base.jsonl") == 0
        assert "compared 2 benchmarks: no change; nothing got worse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("ggn(problem).dense()", "FLOPs "),
        ("torch.ones(1, 1, dtype=torch.float64) @ torch.ones(1, 1, dtype=torch.float64)", "FLOPs "),
        ("problem.model(problem.inputs)", "forward passes "),
        ("buffer = torch.empty(8 * problem.num_parameters**2)", "peak "),
        ("return 1.01 * ggn(problem).dense()", "was verified, is wrong"),
        ("raise NotImplementedError", "no figures any more"),
    ],
    ids=["twice", "two-operations", "forward-pass", "memory", "wrong", "refused"],
)
def test_what_is_planted_is_red_and_taking_it_away_is_not(planted: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--json", "base.jsonl") == 0
    assert bench("--baseline", "base.jsonl", "--json", "worse.jsonl", "--github", "chart.json", planted=planted) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f" red mine ggn/dense on softmax-small (float64, cpu): {said}" in out
    for text in [*Path("worse.jsonl").read_text().splitlines(), Path("chart.json").read_text()]:
        json.loads(text, parse_constant=_refuse)
    assert bench("--baseline", "worse.jsonl") == 0


def test_what_vanished_is_red(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--json", "base.jsonl") == 0
    text = Path("base.jsonl").read_text()
    Path("base.jsonl").write_text(text + text.splitlines()[0].replace('"mine"', '"mine:fast"') + "\n")
    assert bench("--baseline", "base.jsonl", "--implementations", "mine*") == 1
    assert "mine:fast ggn/dense on softmax-small (float64, cpu): was measured, is gone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"machine": {"cpu": "abacus", "gpu": "", "threads": 1, "torch": "2", "cuda": ""}},
            "of another machine (CPU: abacus, now",
        ),
        ({"machine": {}}, "does not say on which machine it was made"),
        ({"flops": "many"}, "flops is 'many'"),
        ({"operation": "dense"}, "twice; give the file of one run"),
    ],
    ids=["machine", "no-machine", "text", "twice"],
)
def test_a_baseline_that_cannot_be_compared_is_refused_before_anything_is_measured(
    changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--json", "base.jsonl") == 0
    rewrite(**changes)
    capsys.readouterr()
    assert bench("--baseline", "base.jsonl") == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_an_empty_baseline_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.jsonl").write_text("")
    assert bench("--baseline", "empty.jsonl") == 2
    assert "holds no benchmarks; measure it with --json empty.jsonl" in capsys.readouterr().err


def test_a_figure_without_a_baseline_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--json", "base.jsonl") == 0
    rewrite(flops=None)
    assert bench("--baseline", "base.jsonl") == 0
    assert "mine ggn/dense on softmax-small (float64, cpu): no baseline: FLOPs" in capsys.readouterr().out


def test_a_full_disk_is_said_and_the_records_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device", "bench.csv")

    monkeypatch.setattr("fishergauge.reports.bench_files.write_table", full)
    assert bench() == 2
    err = capsys.readouterr().err
    assert "bench.csv cannot be written (No space left on device); the records are kept in out/bench/bench.jsonl" in err
    assert len(read_records(Path("out/bench/bench.jsonl"))) == 2


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")
