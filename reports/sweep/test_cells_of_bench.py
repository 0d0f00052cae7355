"""Benchmarks as cells of a sweep: what is sent, what needs the device for itself, and what another process gives back."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from fishergauge.reports.bench_plan import BenchPlan
from fishergauge.reports.bench_run import Manner, case_cells
from fishergauge.reports.bench_scaling import growth_cells, scaling_of
from fishergauge.reports.sweep.cells_of_bench import read_records, read_rows, records_of, sweep_cell
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.sent_subject import loaded
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.benchmarks.problems import BENCHES
from fishergauge.suites.benchmarks.registry import implementations
from fishergauge.suites.benchmarks.scaling import measure_scaling
from fishergauge.suites.jsonable import jsonable

SUBJECT = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject
mine = Subject("mine", lambda problem: fisher(problem).dense(), "ggn")
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BenchPlan]:
    """The dense GGN of the reference and of a subject on a small problem."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECT)
    pairs = loaded(["mine.py:mine"])
    subjects = [subject for subject, _ in pairs]
    chosen = [one for one in implementations(["reference", "subject"], subjects, ["ggn/dense"]) if ":" not in one.name]
    yield BenchPlan(tuple(chosen), (BENCHES["softmax-small"],), subjects=("mine",), sent=tuple(sent for _, sent in pairs))
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def test_a_timed_case_needs_its_device_and_a_counted_one_does_not(plan: BenchPlan) -> None:
    def alone(plan: BenchPlan, time: bool) -> set[str]:
        return {cell.alone for cell in case_cells(plan, Manner(time=time)).values()}

    assert alone(plan, True) == {"cpu"}
    assert alone(plan, False) == {""}
    assert alone(replace(plan, device="cuda"), True) == {"cuda"}
    assert {cell.alone for cell in growth_cells(plan, True).values()} == {""}


def test_another_process_measures_with_the_threads_of_this_one(plan: BenchPlan) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cells = case_cells(plan, Manner(quick=True, time=False))
    finally:
        torch.set_num_threads(before)
    (line,) = LokyEngine(1).run(list(cells.values()))
    assert line.verdict == "done", line.trace
    records = read_records(line.result)
    assert [(record.implementation, record.verified) for record in records] == [("fishergauge", True), ("mine", True)]
    assert {record.machine["threads"] for record in records} == {2}
    assert all(record.flops for record in records)
    here = read_records(records_of(**dict(next(iter(cells.values())).settings)))  # type: ignore[arg-type]
    assert torch.get_num_threads() == before
    counted = [
        [(one.key, one.flops, one.forward_passes, one.backward_passes, one.deviation) for one in both]
        for both in (records, here)
    ]
    assert counted[0] == counted[1]


def test_what_a_case_depends_on(plan: BenchPlan) -> None:
    (case,) = plan.cases()
    cell = sweep_cell(case, plan, False, None, True)
    others = [
        sweep_cell(case, plan, True, None, True),
        sweep_cell(case, plan, False, 3, True),
        sweep_cell(case, plan, False, None, False),
        sweep_cell(case._replace(dtype="float32"), plan, False, None, True),
        sweep_cell(case._replace(implementations=case.implementations[:1]), plan, False, None, True),
        sweep_cell(case, replace(plan, sent=(replace(plan.sent[0], sources="other"),)), False, None, True),
    ]
    assert len({one.key for one in (cell, *others)}) == 1 + len(others)
    reference = case._replace(implementations=case.implementations[:1])
    other = replace(plan, sent=(replace(plan.sent[0], sources="other"),))
    assert sweep_cell(reference, plan, False, None, True).key == sweep_cell(reference, other, False, None, True).key


def test_growth_is_counted_implementation_by_implementation(plan: BenchPlan, tmp_path: Path) -> None:
    store = SweepStore(tmp_path / "cells.jsonl")
    scaling = scaling_of(plan, True, store, SerialEngine())
    assert scaling.rows == tuple(measure_scaling(plan.implementations, quick=True))
    assert len(store.lines()) == len(growth_cells(plan, True)) > 0
    rows = [row for row in scaling.rows if row.costs]
    assert read_rows([jsonable(asdict(row)) for row in rows]) == rows


def test_an_implementation_that_is_not_there_is_named(plan: BenchPlan) -> None:
    (cell,) = case_cells(plan, Manner()).values()
    settings = {**dict(cell.settings), "implementations": '[["no-such-library", "reference"]]'}
    with pytest.raises(RuntimeError, match="no-such-library: not installed here; install the same on every machine"):
        records_of(**settings)  # type: ignore[arg-type]
