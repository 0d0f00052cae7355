"""Running the kit on libraries: quantity by quantity as cells of a sweep, kept as they come, so that a restart goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from fishergauge.reports.sweep.cells_of_peers import read, sweep_cells
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.peers.execution import PeerTask
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import write_records

CELLS = "cells.jsonl"
"""The file of the finished runs in the folder of the results."""


@dataclass(frozen=True)
class Ran:
    """A task that was tried.

    Args:
        task: what was checked.
        records: of its checks; empty after an error.
        error: what ended it, with its traceback; empty if nothing did.
        kept: whether the records are those of an earlier run.
    """

    task: PeerTask
    records: Sequence[Record]
    error: str = ""
    kept: bool = False


def run_tasks(tasks: Sequence[PeerTask], store: SweepStore, engine: Engine, progress: Progress | None = None) -> list[Ran]:
    """Run what the store lacks of the tasks.

    Args:
        tasks: what is checked.
        store: of the runs.
        engine: computes them.
        progress: is told the number of finished tasks, of all tasks, and the last one.

    Returns:
        One for each task, in their order.
    """
    cells = sweep_cells(tasks)
    kept = {task for task, cell in cells.items() if (line := store.get(cell)) is not None and line.verdict == "done"}
    lines = sweep(list(cells.values()), store, engine, progress, say=lambda line: None)
    ran = []
    for task, cell in cells.items():
        line = lines[cell]
        if line.verdict == "failed":
            ran.append(Ran(task, (), line.trace or line.error))
        else:
            ran.append(Ran(task, read(line.result, task), kept=task in kept))
    return ran


def write_run_records(ran: Sequence[Ran], folder: Path) -> None:
    """Write the records of each task into a file of its own, from which the report takes what is shown of a check.

    Args:
        ran: the tasks.
        folder: made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for one in ran:
        stem = f"{one.task.subject.replace('/', '-')}-{one.task.dtype}"
        for old in folder.glob(f"{escape(stem)}-*.jsonl"):  # of other options, or of other versions
            old.unlink()
        if one.records:
            write_records(one.records, folder / f"{stem}-records.jsonl")
