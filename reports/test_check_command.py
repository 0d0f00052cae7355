import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.run_options import Progress

SUBJECTS = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject

def right(problem):
    return fisher(problem).dense()

def refuses(problem):
    raise NotImplementedError("nothing at all")

good = Subject("good", right)
bad = Subject("bad", lambda problem: 2 * right(problem))
improved = Subject("bad", right)
shy = Subject("shy", refuses)
"""
FEW = ["--problems", "softmax-regression,linear-regression", "--claims", "T1,T26-symmetric", "-j", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def test_a_correct_subject_ends_with_0_and_a_wrong_one_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:good", *FEW]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("claim")
    assert out.splitlines()[-1].startswith("4 checks: 4 holds; ")
    assert main(["check", "mine.py:bad", *FEW]) == 1
    out = capsys.readouterr().out
    assert "violated  T1 equals-exact   bad on linear-regression (float64, cpu, seed 0)" in out
    assert "also      on 1 more problem: softmax-regression" in out
    assert out.splitlines()[-1].startswith("4 checks: 2 holds, 2 violated; ")
    assert max(map(len, out.splitlines())) <= 120


def test_the_command_that_a_message_gives_repeats_that_check(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "mine.py:bad", *FEW])
    again = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  again"))
    assert main([*again.split()[2:], "-j", "1"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 check: 1 violated; ")


def test_verbose_gives_each_check_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:bad", *FEW, "--verbose"]) == 1
    assert capsys.readouterr().out.count("violated  T1 equals-exact   bad on") == 2


def test_records_and_junit_are_written_also_of_a_red_run(folder: Path) -> None:
    assert main(["check", "mine.py:bad", *FEW, "--json", "run.jsonl", "--junit", "run.xml"]) == 1
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert [(record["claim"], record["verdict"]) for record in records].count(("T1", "violated")) == 2
    assert ET.parse(folder / "run.xml").getroot().get("failures") == "2"


def test_a_claim_that_nothing_examines_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:shy", *FEW]) == 3
    out = capsys.readouterr().out
    assert "vacuous   T1 equals-exact: not executed on any of 2 problems" in out
    assert "nothing at all" in out
    assert main(["check", "mine.py:good", "--claims", "T1", "--problems", "cnn", "--dtype", "float32", "-j", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine.py"], "write mine.py:ATTRIBUTE. Subjects in it: good, bad, improved, shy"),
        (["mine.py:godo"], "Did you mean good"),
        (["mine.py:good", "--problems", "mpl-*"], "--problems 'mpl-*' matches nothing; did you mean mlp-"),
        (["mine.py:good", "--problems", "cnn,rnn-*"], "--problems 'rnn-*' matches nothing"),
        (["mine.py:good", "--claims", "T40"], "--claims 'T40' matches nothing; did you mean T4"),
        (["mine.py:good", "--claims", " "], "--claims is empty"),
        (["mine.py:good", "--device", "abacus"], "'abacus' is no device; use cpu or cuda"),
        (["mine.py:good", "--json", "-"], "--json takes the path of a file"),
        (["mine.py:good", "--json", "."], "this is a folder"),
        (["mine.py:good", "--junit", "no/where.xml"], "there is no folder no; make it first"),
        (["mine.py:good", "--baseline", "none.jsonl"], "none.jsonl: no such file"),
        (["mine.py:good", "--expected", "none.toml"], "none.toml: no such file"),
        (["mine.py:good", "--problem-file", "none.py"], "none.py does not exist"),
        (["mine.py:good", "--problem-file", "mine.py"], "mine.py defines no 'problems'"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [["--seed", "-1"], ["--seed", "x"], ["-j", "0"], ["--limit", "0"], ["--limit", "inf"], ["--dtype", "float16"], ["--json"]],
)
def test_values_out_of_range_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", "mine.py:good", *arguments])
    assert stop.value.code == 2


def test_problems_of_ones_own_are_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.py").write_text(
        "from torch import nn\nfrom fishergauge.suites import Problem\n"
        "def plane(s):\n    model = s.module(lambda: nn.Linear(2, 1))\n"
        "    return Problem(model, nn.MSELoss(), [(s.normal(4, 2), s.normal(4, 1))])\nproblems = [plane]\n"
    )
    arguments = ["--problem-file", "own.py", "--problems", "plane", "--claims", "T1", "-j", "1"]
    assert main(["check", "mine.py:bad", *arguments]) == 1
    assert "fishergauge check mine.py:bad --problem-file own.py --claims T1 --problems plane" in capsys.readouterr().out


def test_a_baseline_is_compared_on_what_was_selected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:improved", *FEW, "--json", "old.jsonl"]) == 0
    fewer = ["--problems", "softmax-regression", "--claims", "T1", "-j", "1", "--baseline", "old.jsonl"]
    assert main(["check", "mine.py:improved", *fewer]) == 0
    assert "compared 1 checks: no change; nothing got worse" in capsys.readouterr().out
    assert main(["check", "mine.py:bad", *fewer]) == 1
    assert "holds -> violated" in capsys.readouterr().out


def test_a_check_that_vanished_fails_a_run_that_is_green_by_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:good", *FEW, "--json", "old.jsonl"]) == 0
    line = json.loads((folder / "old.jsonl").read_text().splitlines()[0])
    with (folder / "old.jsonl").open("a") as file:
        file.write(json.dumps({**line, "problem": "softmax-regression-of-old"}) + "\n")
    selection = ["--problems", "softmax-regression*", "--claims", FEW[3], "-j", "1"]
    assert main(["check", "mine.py:good", *selection, "--baseline", "old.jsonl"]) == 1
    assert "vanished checks (1)" in capsys.readouterr().out


def test_two_files_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "mine.py:improved", *FEW, "--json", "good.jsonl"])
    main(["check", "mine.py:bad", *FEW, "--json", "bad.jsonl"])
    capsys.readouterr()
    assert main(["compare", "good.jsonl", "bad.jsonl"]) == 1
    assert "regressions (2)" in capsys.readouterr().out
    assert main(["compare", "bad.jsonl", "good.jsonl"]) == 0
    assert main(["compare", "good.jsonl", "nothing.jsonl"]) == 2
    assert "nothing.jsonl: no such file" in capsys.readouterr().err


def test_accepted_failures_count_once_they_have_reasons(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept", "mine.py:bad", *FEW]) == 0
    assert 'reason = ""' in capsys.readouterr().out
    file = folder / "fishergauge.toml"
    assert main(["check", "mine.py:bad", *FEW]) == 1
    assert "the reason is empty" in capsys.readouterr().out.replace("\n    ", " ")
    file.write_text(file.read_text().replace('reason = ""', 'reason = "twice as large, on purpose"'))
    assert main(["check", "mine.py:bad", *FEW]) == 0
    assert "2 expected" in capsys.readouterr().out
    assert main(["accept", "mine.py:bad", *FEW]) == 0
    assert "nothing to accept" in capsys.readouterr().out
    file.rename(folder / "other.toml")
    assert main(["check", "mine.py:bad", *FEW, "--expected", "other.toml"]) == 0


def test_what_can_be_checked_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["subjects"]) == 0
    assert "reference-fisher  fishergauge.reference:fisher\n  target fisher, structure dense" in capsys.readouterr().out
    assert main(["claims"]) == 0
    everything = capsys.readouterr().out
    assert "T4 bias-block-exact\n  the bias block of K-FAC" in everything
    assert main(["claims", "--subject", "mine.py:good"]) == 0
    dense = capsys.readouterr().out
    assert "good: target fisher, structure dense" in dense
    assert "T1 equals-exact" in dense
    assert "T4 bias-block-exact" not in dense
    assert main(["claims", "--subject", "mine.py:none"]) == 2
    assert main(["problems"]) == 0
    assert "mlp-tanh-softmax  (N = " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["T4", "t4", "bias-block-exact"])
def test_a_claim_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert "T4 bias-block-exact\n  statement    the bias block" in out
    for label in ("source", "subjects", "problems", "bound", "must fail", "examined on"):
        assert f"\n  {label:<13}" in out
    assert 'D1 "gradients of the mean loss squared"' in out
    assert max(map(len, out.splitlines())) <= 120


def test_an_unknown_claim_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "bias-block"]) == 2
    assert "there is no claim 'bias-block'; did you mean bias-block-exact" in capsys.readouterr().err


def test_progress_is_shown_on_one_line_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(sys.stderr)
    progress(9, 100)
    progress(10, 100)
    progress.clear()
    assert capsys.readouterr().err == "\r9/100 \r10/100 \r       \r"


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fishergauge.suites.conformance.check", interrupted)
    assert main(["check", "mine.py:good", *FEW]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_is_shown_without_importing_torch_and_a_closed_pipe_is_no_error() -> None:
    code = "import sys\nfrom fishergauge.reports.cli import main\ntry:\n    main(['check', '--help'])\nfinally:\n"
    code += "    assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit code: 0 if nothing is violated" in done.stdout
    piped = f"{sys.executable} -m fishergauge.reports.cli claims | head -1"
    done = subprocess.run(piped, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("T1 equals-exact\n", "")
