"""``fishergauge peers`` on libraries of the test's own: strict in both directions, resumable, and clear about mistakes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher
from fishergauge.reports.cli import main
from fishergauge.reports.peers_run import run_tasks
from fishergauge.reports.sweep import cells_of_peers
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.peers import execution, registry
from fishergauge.suites.peers.execution import PeerTask
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.records_file import read_records
from fishergauge.suites.subject import Subject

Run = Callable[..., int]
FACTOR = [2.0]

LEDGER = """
[[finding]]
id = "fake_scale"
library = "fake"
version = "1"
title = "the Fisher | is doubled"
class = "defect"
where = "fake.py"
evidence = "It is added twice."
expected = "1"
found = "2"
[[finding.cells]]
subjects = ["fake/fisher"]
claims = ["T1"]
problems = ["linear-regression", "softmax-regression"]
"""


def scaled(problem: Problem) -> Tensor:
    return FACTOR[0] * fisher(problem).dense()


def exact(problem: Problem) -> Tensor:
    return fisher(problem).dense()


def refusing(problem: Problem) -> Tensor:
    if isinstance(problem.loss, torch.nn.CrossEntropyLoss):
        raise NotImplementedError("fake refuses: classes")
    return torch.diag(fisher(problem).dense().diag())


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "findings"
    folder.mkdir()
    (folder / "fake.toml").write_text(LEDGER, encoding="utf-8")
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ledger: Path) -> Run:
    """The command on three quantities of an installed library and one of a missing one, on two problems and T1 to T2."""
    every = [
        Peer("fake", "torch", Subject("fake/fisher", scaled), "the Fisher (README)", "nothing at all"),
        Peer("fake", "torch", Subject("fake/exact", exact), "the Fisher (README)"),
        Peer("fake", "torch", Subject("fake/diagonal", refusing, structure="diagonal"), "its diagonal"),
        Peer("gone", "gone_and_away", Subject("gone/fisher", exact), "the Fisher"),
    ]
    monkeypatch.setattr(registry, "peers", lambda: every)
    monkeypatch.setattr("fishergauge.suites.peers.ledger.FINDINGS", ledger)
    FACTOR[0] = 2.0

    def command(*options: str, update: bool = False, out: str = "out") -> int:
        default = ["--claims", "T1,T2", "--problems", "linear-regression,softmax-regression", "-j", "1"]
        renew = ["--update", str(ledger)] if update else []
        return main(["peers", "--out", str(tmp_path / out), *default, *renew, *options])

    return command


def rows(tmp_path: Path, out: str = "out") -> list[dict[str, str]]:
    with (tmp_path / out / "peers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_red_cells_that_the_ledger_does_not_know_fail_the_run(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run() == 1
    said = capsys.readouterr().out
    assert "skipped: gone is not installed; run: pip install 'fishergauge[peers]'" in said
    assert "new  T1 of fake/fisher on linear-regression (float64)" in said
    assert "again: fishergauge peers --only fake/fisher --claims T1 --problems linear-regression --seed 0" in said
    assert "3 quantities, 12 cells: 8 holds, 2 unsupported, 2 new" in said
    assert {row["status"] for row in rows(tmp_path)} == {"holds", "unsupported", "new"}


def test_known_cells_are_written_and_then_the_run_passes(run: Run, ledger: Path, tmp_path: Path) -> None:
    assert run(update=True) == 0
    text = (ledger / "fake.csv").read_text(encoding="utf-8")
    assert text.splitlines()[1:] == ["fake/fisher,T1,float64,violated,fake_scale,linear-regression softmax-regression"]
    assert "**[fake_scale](fake_scale.py)** (defect, 2 red cells)" in (ledger / "README.md").read_text(encoding="utf-8")
    assert run() == 0
    red = [row for row in rows(tmp_path) if row["verdict"] == "violated"]
    assert [(row["status"], row["finding"]) for row in red] == [("expected", "fake_scale")] * 2


def test_what_no_finding_explains_stays_red_and_is_not_written(
    run: Run, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ledger / "fake.toml").write_text(LEDGER.replace(', "softmax-regression"', ""), encoding="utf-8")
    assert run(update=True) == 1
    assert "unexplained  T1 of fake/fisher on softmax-regression" in capsys.readouterr().out
    assert "softmax" not in (ledger / "fake.csv").read_text(encoding="utf-8")


def test_a_library_that_mends_a_cell_turns_the_run_red_until_the_ledger_is_updated(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(update=True)
    FACTOR[0] = 1.0
    capsys.readouterr()
    assert run(out="mended") == 1
    assert "mended  T1 of fake/fisher on linear-regression (float64)" in capsys.readouterr().out
    assert run(update=True, out="mended") == 0
    assert run(out="mended") == 0


def test_a_known_cell_that_is_not_executed_any_more_has_vanished(
    run: Run, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(update=True)
    path = ledger / "fake.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "fake/exact,T6,float64,violated,fake_scale,linear-regression\n", encoding="utf-8")
    assert run() == 0  # T6 was not selected
    assert run("--claims", "T1,T6") == 1
    assert "vanished  T6 of fake/exact on linear-regression" in capsys.readouterr().out


def test_what_a_selection_leaves_out_is_not_missed_and_stays_known(run: Run, ledger: Path) -> None:
    run(update=True)
    before = (ledger / "fake.csv").read_bytes()
    assert run("--problems", "linear-regression", "--only", "fake/fisher", update=True) == 0
    assert (ledger / "fake.csv").read_bytes() == before


def test_finished_quantities_are_kept_and_damaged_ones_run_again(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(update=True)
    kept = tmp_path / "out" / "cells.jsonl"
    before = rows(tmp_path)
    kept.write_text(kept.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    capsys.readouterr()
    assert run() == 0
    assert "2 of 3 runs kept from before" in capsys.readouterr().out
    assert rows(tmp_path) == before
    run()
    assert "3 of 3 runs kept from before" in capsys.readouterr().out


def test_another_version_of_the_library_is_checked_anew(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(update=True)
    monkeypatch.setattr(cells_of_peers, "version_of", lambda library: "2")
    capsys.readouterr()
    run()
    assert "kept from before" not in capsys.readouterr().out


def test_a_quantity_that_cannot_be_run_does_not_stop_the_others_and_fails_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(update=True)
    before = (ledger / "fake.csv").read_bytes()
    real = getattr(execution, "check")  # noqa: B009

    def failing(subject: Subject, **options: object) -> object:
        if subject.name == "fake/fisher":
            raise RuntimeError("out of order")
        return real(subject, **options)

    monkeypatch.setattr(execution, "check", failing)
    capsys.readouterr()
    assert run(update=True, out="again") == 1
    said = capsys.readouterr()
    assert "not checked: fake/fisher float64: RuntimeError: out of order" in said.out
    assert "Traceback" in said.err
    assert "2 quantities" not in said.out.splitlines()[0]
    assert (ledger / "fake.csv").read_bytes() == before


def test_the_other_processes_give_the_same_cells(run: Run, tmp_path: Path) -> None:
    run(update=True)
    assert run("--only", "fake/fisher", "--dtype", "both") in (0, 1)
    assert {row["dtype"] for row in rows(tmp_path)} == {"float64", "float32"}


def test_nothing_installed_is_vacuous(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--only", "gone") == 3
    assert "vacuous: nothing was checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "fake/fischer"], "--only 'fake/fischer' matches nothing; did you mean fake/fisher"),
        (["--claims", "T99"], "--claims 'T99' matches nothing"),
        (["--problems", "linear-regresion"], "did you mean linear-regression"),
        (["--update", "nowhere"], "--update nowhere is no folder; give suites/peers/findings"),
    ],
)
def test_mistakes_of_the_user_are_named(run: Run, options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*options) == 2
    assert said in capsys.readouterr().err


def test_a_mistake_in_the_ledger_is_named_before_anything_runs(
    run: Run, ledger: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (ledger / "fake.toml").write_text(LEDGER.replace('"defect"', '"bug"'), encoding="utf-8")
    assert run() == 2
    assert "fake.toml, finding 1: class is one of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_list_says_what_is_promised_and_converted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    said = capsys.readouterr().out
    for part in (
        "fake/fisher  (fisher, dense)",
        "promised: the Fisher (README)",
        "converted: nothing at all",
        "gone (not installed)",
    ):
        assert part in said


def test_the_files_hold_matrix_findings_and_versions(run: Run, tmp_path: Path) -> None:
    run(update=True)
    content = json.loads((tmp_path / "out" / "peers.json").read_text(encoding="utf-8"))
    assert content["counts"] == {"holds": 8, "expected": 2, "unsupported": 2}
    assert content["missing"] == {"gone": "gone is not installed; run: pip install 'fishergauge[peers]'"}
    (finding,) = content["findings"]
    assert (finding["id"], finding["cells"], finding["subjects"]) == ("fake_scale", 2, ["fake/fisher"])
    assert content["quantities"][0]["claims"]["T1"] == {"expected": 2}
    text = (tmp_path / "out" / "peers.md").read_text(encoding="utf-8")
    assert "| fisher | 2✗ | 2 |" in text
    assert "the Fisher \\| is doubled" in text
    assert "Not tested: gone is not installed" in text
    assert (tmp_path / "out" / "peers.png").stat().st_size > 5000


def test_two_runs_on_the_same_records_write_the_same_files(run: Run, tmp_path: Path) -> None:
    run(update=True)
    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("peers.*")}
    run()
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("peers.*")}


def test_the_records_of_each_quantity_stand_in_a_file_for_the_report(run: Run, tmp_path: Path) -> None:
    run()
    run("--claims", "T1")
    folder = tmp_path / "out" / "records"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"fake-{name}-float64-records.jsonl" for name in ("diagonal", "exact", "fisher")
    ]
    records = read_records(folder / "fake-fisher-float64-records.jsonl")
    assert [(one.claim, one.verdict) for one in records] == [("T1", "violated")] * 2


def test_shards_are_joined_by_concatenation_and_nothing_is_computed_twice(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        assert run("--shard", f"{number}/2", out=f"part{number}") == 0
    said = capsys.readouterr().out
    assert "shard 1/2: 2 of 3 cells in " in said
    assert "shard 2/2: 1 of 3 cells in " in said
    assert not (tmp_path / "part1" / "peers.csv").exists()
    (tmp_path / "joined").mkdir()
    parts = [(tmp_path / f"part{number}" / "cells.jsonl").read_text(encoding="utf-8") for number in (2, 1)]
    (tmp_path / "joined" / "cells.jsonl").write_text("".join(parts), encoding="utf-8")
    assert run(out="joined") == run() == 1
    assert "3 of 3 runs kept from before" in capsys.readouterr().out
    assert rows(tmp_path, "joined") == rows(tmp_path)


def test_processes_of_one_library_do_not_serve_another(tmp_path: Path) -> None:
    names = ["backpack/kflr", "backpack/diag-ggn-exact", "singd/kfac-expand"]  # the last one may not be installed
    tasks = [PeerTask(name, claims="T26-psd", problems="mlp-tanh-gaussian") for name in names]
    store = SweepStore(tmp_path / "cells.jsonl")
    ran = run_tasks(tasks, store, LokyEngine(2))
    assert [one.task for one in ran] == tasks
    assert [(one.error, [record.claim for record in one.records]) for one in ran[:2]] == [("", ["T26-psd"])] * 2
    workers = {str(line.cell): line.worker for line in store.lines()}
    assert workers["singd/kfac-expand float64"] not in {workers[f"{name} float64"] for name in names[:2]}
    assert len(cells_of_peers.sweep_cells(tasks[:2])[tasks[0]].group) == 0  # of one library there is nothing to keep apart


def test_a_machine_with_another_version_is_refused() -> None:
    (cell,) = cells_of_peers.sweep_cells([PeerTask("backpack/kflr")]).values()
    with pytest.raises(RuntimeError, match=r"backpack is 1\..* here and 0\.1 where the sweep was begun; install 0\.1"):
        cells_of_peers.records_of(**{**dict(cell.settings), "version": "0.1"})  # type: ignore[arg-type]
