"""Cells of the spectrum as cells of a sweep: what is sent, what comes back, and what becomes of a subject that fails."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.spectrum_run import measure_spectrum, spectrum_cells
from fishergauge.reports.sweep.cells_of_spectrum import problem_of, read, rows_of, sweep_cell
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.sent_subject import Sent, loaded
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.spectrum.cell import Cell
from fishergauge.suites.spectrum.execution import Executor, Plan
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.subject import SubjectError
from fishergauge.suites.workers import why_not_isolated

SUBJECTS = """
import os
from fishergauge.reference import fisher
from fishergauge.suites import Subject

good = Subject("good", lambda problem: fisher(problem).dense())
ends = Subject("ends", lambda problem: os._exit(7))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def plan_for(*specs: str) -> tuple[Plan, dict[str, Sent]]:
    pairs = loaded(specs)
    plan = Plan(
        models=("mlp",),
        dtypes=("float64",),
        families=("permutation", "scaling"),
        kappas=(10.0, 1e4),
        approximations=("exact-fisher", "gradient"),
        subjects=tuple(subject for subject, _ in pairs),
    )
    return plan, {subject.name: sent for subject, sent in pairs}


def test_other_processes_give_the_rows_of_this_one(folder: Path) -> None:
    plan, sent = plan_for("mine.py:good")
    rows = measure_spectrum(plan, sent, SweepStore(folder / "cells.jsonl"), LokyEngine(2))
    executor = Executor(plan, problem_of)
    assert rows == tuple(row for cell in plan.cells() for row in executor.contained(cell))
    assert {row.approximation for row in rows} == {"exact-fisher", "gradient", "good"}
    again = measure_spectrum(plan, sent, SweepStore(folder / "cells.jsonl"), SerialEngine())
    assert again == rows
    assert len(SweepStore(folder / "cells.jsonl").lines()) == len(plan.cells()) == 4


@pytest.mark.skipif(bool(why_not_isolated()), reason="processes are not isolated here")
def test_a_subject_that_ends_its_process_costs_its_own_cells(folder: Path) -> None:
    plan, sent = plan_for("mine.py:ends")
    rows = measure_spectrum(plan, sent, SweepStore(folder / "cells.jsonl"), SerialEngine())
    assert {row.approximation for row in rows if row.red} == {"ends"}
    assert all("exit code 7" in row.reason for row in rows if row.red)
    assert {row.verdict for row in rows if row.approximation == "exact-fisher"} == {"holds"}


def test_a_cell_that_fails_is_red_and_says_why(folder: Path) -> None:
    plan, sent = plan_for()
    plan = replace(plan, data=("nowhere",))
    rows = measure_spectrum(plan, sent, SweepStore(folder / "cells.jsonl"), SerialEngine())
    assert [row.verdict for row in rows] == ["error"] * 4
    assert "no data set 'nowhere'" in rows[0].reason


def test_what_a_cell_depends_on(folder: Path) -> None:
    plan, sent = plan_for("mine.py:good")
    mine = Cell("mlp", "synthetic", "float64", "scaling", "good")
    key, catalogue = sweep_cell(mine, plan, sent).key, sweep_cell(mine._replace(subject=""), plan, sent).key
    for other in (replace(plan, kappas=(10.0,)), replace(plan, seed=1), replace(plan, limit=3.0)):
        assert sweep_cell(mine, other, sent).key != key
    assert sweep_cell(mine._replace(subject=""), replace(plan, seed=1), sent).key == catalogue
    assert sweep_cell(mine._replace(subject=""), replace(plan, approximations=("gradient",)), sent).key != catalogue
    (folder / "beside.py").write_text("FACTOR = 1\n")
    assert sweep_cell(mine, *plan_for("mine.py:good")).key != key
    assert len({cell.key for cell in spectrum_cells(plan, sent).values()}) == 4


def test_a_subject_whose_file_is_another_one_is_refused(folder: Path) -> None:
    plan, sent = plan_for("mine.py:good")
    cell = sweep_cell(Cell("mlp", "synthetic", "float64", "scaling", "good"), plan, sent)
    (folder / "mine.py").write_text(SUBJECTS + "\n")
    with pytest.raises(SubjectError, match=r"mine\.py:good: the file is another one here"):
        rows_of(**dict(cell.settings))  # type: ignore[arg-type]


def test_rows_keep_numbers_that_json_lacks() -> None:
    from dataclasses import asdict

    from fishergauge.suites.jsonable import jsonable

    row = Row("a", "mlp", "synthetic", "float64", "scaling", 1.0, "order", "unknown", measured=float("inf"), bound=None, rank=3)
    assert read([jsonable(asdict(row))]) == [row]
