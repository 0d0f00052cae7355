"""Measuring a plan case by case as a sweep: what is finished is kept, and an interrupted run can go on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fishergauge.reports.bench_plan import BenchPlan, Case
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_bench import read_records, sweep_cell
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.machine import differences, machine, versions
from fishergauge.suites.benchmarks.measurement import frozen
from fishergauge.suites.benchmarks.record import BenchRecord, Key, write_records
from fishergauge.suites.devices import devices

CELLS = "cells.jsonl"
"""The file of the finished cases in the folder of the results."""


class InterruptedRunError(Exception):
    """A run was interrupted; what was measured is in the file."""

    def __init__(self, records: Sequence[BenchRecord]) -> None:
        super().__init__("interrupted")
        self.records = list(records)


@dataclass(frozen=True)
class Manner:
    """How a plan is measured.

    Args:
        quick: few rounds.
        rounds: of timing; those of the stopwatch by default.
        time: whether anything is timed.
    """

    quick: bool = False
    rounds: int | None = None
    time: bool = True


def case_cells(plan: BenchPlan, manner: Manner) -> dict[Case, SweepCell]:
    """The cells of a plan.

    Args:
        plan: what is measured.
        manner: how.
    """
    return {case: sweep_cell(case, plan, manner.quick, manner.rounds, manner.time) for case in plan.cases()}


def measure_plan(
    plan: BenchPlan,
    manner: Manner,
    path: Path,
    store: SweepStore,
    engine: Engine,
    progress: Progress | None = None,
) -> list[BenchRecord]:
    """Measure what the store lacks of the cases of a plan, and write all records.

    Args:
        plan: what is measured.
        manner: how.
        path: of the file of the records, in JSON Lines.
        store: of the cases.
        engine: measures them.
        progress: is told the number of finished cases, of all cases, and the last one.

    Raises:
        InterruptedRunError: Ctrl-C was pressed; it has the records so far, which are in the file.
        EngineError: the engine can compute nothing, or no more; what is finished is kept.
    """
    cells = case_cells(plan, manner)
    if absent := missing_device(plan.device):
        records = [record for case in cells for record in not_measured(case, plan.device, absent)]
        write_records(records, path)
        return records
    try:
        with frozen():
            lines = sweep(list(cells.values()), store, engine, progress, say=lambda line: None)
    except KeyboardInterrupt:
        done = {cell: line for cell in cells.values() if (line := store.get(cell)) is not None and line.verdict == "done"}
        records = [record for cell in cells.values() if cell in done for record in read_records(done[cell].result)]
        write_records(records, path)
        raise InterruptedRunError(records) from None
    records = [record for case, cell in cells.items() for record in _records(case, plan.device, lines[cell])]
    write_records(records, path)
    return records


def _records(case: Case, device: str, line: Line) -> list[BenchRecord]:
    """The records of a case that was tried; of one that failed they are red."""
    if line.verdict == "done":
        return read_records(line.result)
    return [replace(record, verified=False) for record in not_measured(case, device, line.error)]


def keys(case: Case, device: str) -> list[Key]:
    """What the records of a case are compared by.

    Args:
        case: of a plan.
        device: on which it is measured.
    """
    task, bench = case.task, case.bench.name
    return [Key(one.name, task.quantity, task.operation, bench, case.dtype, device) for one in case.implementations]


def not_measured(case: Case, device: str, reason: str) -> list[BenchRecord]:
    """The records of a case that could not be measured at all: they stand in the tables rather than be missing.

    Args:
        case: of a plan.
        device: that was asked for.
        reason: for people.
    """
    kinds = [one.kind for one in case.implementations]
    return [
        BenchRecord(*key, kind=kind, reason=reason, versions=versions(), machine=_host())
        for key, kind in zip(keys(case, device), kinds, strict=True)
    ]


def _host() -> Mapping[str, str | int]:
    """The machine without its device."""
    return machine("cpu")


def missing_device(device: str) -> str:
    """Why nothing can be measured on a device, or nothing.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Example:
        >>> missing_device("cpu")
        ''
    """
    if device in devices():
        return ""
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = f", CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else ""
    return f"not measured: no device (torch {torch.__version__} was built with {build}{seen})"


def require_resumable(store: SweepStore, plan: BenchPlan, manner: Manner) -> None:
    """Refuse to go on with an interrupted run that was begun elsewhere.

    Args:
        store: of the run.
        plan: of the run that goes on.
        manner: how.

    Raises:
        UsageError: there is no such run, or it was begun on another machine or with other versions.
    """
    if not store.path.exists():
        raise UsageError(f"--resume: {store.path}: no such file; leave --resume out to begin anew")
    if missing_device(plan.device):
        return
    here, current = machine(plan.device), versions()
    for cell in case_cells(plan, manner).values():
        line = store.get(cell)
        for record in read_records(line.result) if line is not None and line.verdict == "done" else ():
            other = differences(record.machine, here)
            other += [
                f"{name} {record.versions.get(name)} and {current.get(name)}"
                for name in dict.fromkeys([*record.versions, *current])
                if record.versions.get(name) != current.get(name)
            ]
            if other:
                raise UsageError(
                    f"--resume: {store.path} was begun under other circumstances ({'; '.join(other)}); leave --resume out to "
                    "begin anew"
                )
