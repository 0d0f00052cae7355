"""``fishergauge spectrum`` measures, judges, writes, and refuses what it cannot do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.spectrum_artefacts import write_artefacts
from fishergauge.reports.spectrum_run import CELLS
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.spectrum.execution import Plan
from fishergauge.suites.spectrum.row import Row

SUBJECTS = """
import torch
from fishergauge.reference import fisher, kfac
from fishergauge.suites import Subject

def right(problem):
    return fisher(problem).dense()

def damped(problem):
    matrix = right(problem)
    return matrix + 0.1 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)

def split(problem):
    return kfac(problem, bias="separate")

def refuses(problem):
    raise NotImplementedError("nothing at all")

good = Subject("good", right)
twin = Subject("good", damped)
wrong = Subject("wrong", damped)
joint = Subject("joint", split, structure="kronecker", bias="joint")
separate = Subject("separate", split, structure="kronecker", bias="separate")
shy = Subject("shy", refuses)
modest = Subject("modest", right, structure="none")
taken = Subject("adam", right)
"""
FEW = [
    "--quick",
    "--models",
    "mlp",
    "--families",
    "scaling,unit-affine",
    "--approximations",
    "exact-fisher,gradient",
    "-j",
    "1",
]
FILES = ["spectrum.csv", "spectrum.json", "spectrum.md", "spectrum.pdf", "spectrum.png", "spectrum.svg"]
ROW = Row("exact-fisher", "mlp", "synthetic", "float64", "scaling", 100.0, "outputs", "invariant", "T13", "holds", 1e-12, 1e-9)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def test_a_run_that_agrees_with_theory_ends_with_0_and_writes_its_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spectrum", *FEW]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "Invariance at kappa = 100"
    assert captured.err == ""
    assert lines[-1].startswith("4 cells, ")
    assert lines[-1].endswith(" s")
    assert "violated" not in lines[-1]
    assert max(map(len, lines)) <= 120
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["provenance.json", *FILES, CELLS]
    record = json.loads((folder / "out" / "spectrum.json").read_text())
    assert sorted(record) == ["plan", "provenance", "rows", "schema"]
    assert record["schema"] == 1
    assert record["provenance"]["command"] == "fishergauge spectrum " + " ".join(FEW)
    assert record["provenance"]["seed"] == 0
    assert record["provenance"]["versions"]["torch"]
    assert record["plan"]["families"] == ["scaling", "unit-affine"]
    assert [*record["rows"][0]][:17] == [field.name for field in fields(Row)]
    table = pd.read_csv(folder / "out" / "spectrum.csv")
    assert len(table) == len(record["rows"])
    assert list(table.columns) == [field.name for field in fields(Row)]
    origin = json.loads((folder / "out" / "provenance.json").read_text())["artefacts"]
    assert sorted(origin) == FILES
    before = {name: (folder / "out" / name).read_bytes() for name in FILES}
    assert main(["spectrum", *FEW]) == 0
    assert {name: (folder / "out" / name).read_bytes() for name in FILES} == before


def test_wrong_subjects_end_with_1_and_right_ones_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--subject", "mine.py:good", "mine.py:separate", *FEW]) == 0
    out = capsys.readouterr().out
    assert "Subject good" in out
    assert "unit-affine not promised" in out
    for name, family in (("wrong", "scaling"), ("joint", "unit-affine")):
        assert main(["spectrum", "--subject", f"mine.py:{name}", *FEW]) == 1
        out = capsys.readouterr().out
        assert f"violated: {name} in mlp, synthetic, float64" in out
        assert any(line.startswith(family) and "1 violated" in line for line in out.splitlines())


def test_a_subject_of_which_nothing_is_measured_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--subject", "mine.py:shy", "mine.py:modest", *FEW]) == 3
    out = capsys.readouterr().out
    assert "vacuous: of what shy promises nothing could be measured here" in out
    assert "vacuous: of what modest" not in out
    assert main(["spectrum", "--subject", "mine.py:shy", "--subject", "mine.py:wrong", *FEW]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "mpl"], "--models 'mpl' matches nothing; did you mean mlp"),
        (["--families", "scaling,kroneker"], "--families 'kroneker' matches nothing; did you mean kronecker"),
        (["--approximations", " "], "--approximations is empty"),
        (["--approximations", "kfca*"], "(fishergauge spectrum --list lists the names)"),
        (["--subject", "mine.py:godo"], "Did you mean good"),
        (["--subject", "mine.py:good", "mine.py:twin"], "'good' is also the name of another subject"),
        (["--subject", "mine.py:taken"], "'adam' is also the name of an approximation of the catalogue"),
        (["--data", "breast-cancer"], "with two classes all output factors have rank one"),
        (["--data", "mnist"], "no data set 'mnist'; choose from synthetic"),
        (["--seed", "-1"], "--seed -1: give a whole number"),
        (["--limit", "0"], "--limit 0.0: give a number of seconds"),
        (["--limit", "nan"], "--limit nan: give a number of seconds"),
        (["--out", "mine.py"], "--out mine.py is a file; name a folder"),
        (["--out", "mine.py/below"], "--out mine.py/below is a file; name a folder"),
        (
            ["--quick", "--models", "softmax", "--families", "hidden-affine"],
            "none of these families has a map for these models",
        ),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spectrum", *FEW, *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not list(folder.glob("**/spectrum.*"))


@pytest.mark.parametrize("arguments", [["--dtype", "float16"], ["-j", "0"], ["--seed", "x"], ["--subject"]])
def test_values_that_cannot_be_parsed_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["spectrum", *arguments])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("module", "arguments", "package"),
    [("matplotlib", ["--quick"], "matplotlib"), ("sklearn.datasets", ["--data", "wine"], "scikit-learn")],
)
def test_a_missing_extra_is_named_before_anything_is_measured(
    module: str, arguments: list[str], package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fishergauge.reports.data import load

    load.cache_clear()
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("fishergauge.reports.spectrum_run.measure_spectrum", lambda *_: pytest.fail("measured"))
    assert main(["spectrum", *arguments]) == 2
    assert f"{package} is not installed; run: pip install 'fishergauge[report]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (5, ("synthetic", "digits"), ("float64", "float32"), 12)),
        (["--quick"], (2, ("synthetic",), ("float64",), 4)),
        (["--quick", "--models", "*", "--data", "wine", "--dtype", "both"], (5, ("wine",), ("float64", "float32"), 4)),
        (["--dtype", "float32"], (5, ("synthetic", "digits"), ("float32",), 12)),
    ],
)
def test_what_is_measured_by_default(
    arguments: list[str], expected: tuple[Any, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def measured(plan: Plan, *_: object) -> tuple[Row, ...]:
        plans.append(plan)
        return (ROW,)

    monkeypatch.setattr("fishergauge.reports.spectrum_run.measure_spectrum", measured)
    assert main(["spectrum", *arguments]) == 0
    (plan,) = plans
    assert (len(plan.models), plan.data, plan.dtypes, len(plan.kappas)) == expected
    assert (len(plan.families), len(plan.approximations), plan.subjects) == (19, 19, ())


@pytest.mark.parametrize("verdict", ["violated", "unexpected", "error"])
def test_each_red_verdict_ends_with_1(verdict: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (ROW, replace(ROW, family="dense", verdict=verdict))
    monkeypatch.setattr("fishergauge.reports.spectrum_run.measure_spectrum", lambda *_: rows)
    assert main(["spectrum"]) == 1


def test_files_are_the_same_each_time_and_carry_no_number_that_json_lacks(folder: Path) -> None:
    rows = [
        replace(ROW, measured=float("inf"), bound=float("nan")),
        replace(ROW, rank=3, kappa=10.0, reason='a "quoted, text"'),
    ]
    contents = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        paths = write_artefacts(rows, Plan(models=("mlp",)), "fishergauge spectrum", folder / name)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    first = json.loads((folder / "one" / "spectrum.json").read_text(), parse_constant=lambda name: pytest.fail(name))["rows"][0]
    assert (first["measured"], first["measured_reason"], first["bound"]) == (None, "inf", None)
    table = pd.read_csv(folder / "one" / "spectrum.csv")
    assert table["rank"].tolist()[1] == 3
    assert ",3," in (folder / "one" / "spectrum.csv").read_text()
    assert table["reason"][1] == 'a "quoted, text"'


def test_what_can_be_chosen_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--list"]) == 0
    out = capsys.readouterr().out
    assert "  softmax-reduced " in out
    assert "  hidden-affine            affine maps of the hidden activations" in out
    assert "  hessian                  Hessian; invariant under all invertible maps, linear ones alone" in out
    assert "  adam                     root of the diagonal (Adam); invariant under permutations and signs" in out


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fishergauge.reports.spectrum_run.measure_spectrum", interrupted)
    assert main(["spectrum", *FEW]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_is_shown_without_importing_torch() -> None:
    code = "import sys\nfrom fishergauge.reports.cli import main\ntry:\n    main(['spectrum', '--help'])\nfinally:\n"
    code += "    assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit code: 0 if theory and measurement agree everywhere" in done.stdout


def test_finished_cells_are_kept_measured_anew_on_demand_and_joined_from_shards(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def workers(out: str) -> list[str]:
        return [line.text() for line in SweepStore(folder / out / CELLS).lines()]

    assert main(["spectrum", *FEW, "--subject", "mine.py:good", "--out", "one"]) == 0
    first = workers("one")
    assert main(["spectrum", *FEW, "--subject", "mine.py:good", "--out", "one"]) == 0
    assert workers("one") == first
    for number in (1, 2):
        assert main(["spectrum", *FEW, "--subject", "mine.py:good", "--out", f"part{number}", "--shard", f"{number}/2"]) == 0
    assert "shard 2/2: 2 of 4 cells in part2/spectrum_cells.jsonl, 0 failed" in capsys.readouterr().out
    assert not (folder / "part1" / "spectrum.json").exists()
    (folder / "two").mkdir()
    joined = "".join((folder / f"part{number}" / CELLS).read_text() for number in (1, 2))
    (folder / "two" / CELLS).write_text(joined)
    assert main(["spectrum", *FEW, "--subject", "mine.py:good", "--out", "two"]) == 0
    assert (folder / "two" / CELLS).read_text() == joined
    assert (folder / "two" / "spectrum.csv").read_bytes() == (folder / "one" / "spectrum.csv").read_bytes()
    assert main(["spectrum", *FEW, "--subject", "mine.py:good", "--out", "one", "--fresh"]) == 0
    assert len(workers("one")) == 4
    assert workers("one") != first  # the seconds that they took
