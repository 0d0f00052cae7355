"""Running the kit on libraries: quantity by quantity on several processes, kept as they come, so that a restart goes on."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from fishergauge.reports.extras import require
from fishergauge.suites.peers.execution import PeerTask, run_task
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import RecordsError, read_records, write_records

Progress = Callable[[int, int, object], None]


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


def run_tasks(tasks: Sequence[PeerTask], folder: Path, jobs: int, progress: Progress | None = None) -> list[Ran]:
    """Run tasks, one process each, and keep the records of each under a name that says of what they are.

    A file is used again if the task, the code and the versions of the libraries are those of its name; a damaged one is
    written anew.

    Args:
        tasks: what is checked.
        folder: of the records; made where it is missing.
        jobs: number of tasks at the same time.
        progress: is told the number of finished tasks, of all tasks, and the last one.

    Returns:
        One for each task, in their order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[PeerTask, Ran] = {}
    for task in tasks:
        if (records := _kept(file_of(task, folder))) is not None:
            found[task] = Ran(task, records, kept=True)
    left = [task for task in tasks if task not in found]
    if progress is not None:
        progress(len(found), len(tasks), "kept from an earlier run")
    try:
        for ran in _computed(left, folder, jobs):
            found[ran.task] = ran
            if progress is not None:
                progress(len(found), len(tasks), ran.task.label)
    except Exception as error:  # a process that died takes its task with it, not the finished ones
        for task in left:
            found.setdefault(task, Ran(task, (), f"its process ended: {error!r}"))
    return [found[task] for task in tasks]


def file_of(task: PeerTask, folder: Path) -> Path:
    """Where the records of a task are kept."""
    return folder / f"{task.subject.replace('/', '-')}-{task.dtype}-{task.digest}.jsonl"


def _computed(tasks: Sequence[PeerTask], folder: Path, jobs: int) -> Iterator[Ran]:
    """The tasks as they end, library by library, so that no process has imported two of them."""
    if jobs == 1:
        yield from (_run(task, folder, jobs) for task in tasks)
        return
    joblib, loky = require("joblib"), require("joblib.externals.loky")
    for _, own in groupby(tasks, lambda task: task.subject.partition("/")[0]):
        calls = (joblib.delayed(_run)(task, folder, 1) for task in own)
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(calls)
        loky.get_reusable_executor().shutdown(wait=True)


def _run(task: PeerTask, folder: Path, jobs: int) -> Ran:
    """Run a task and keep its records, in whichever process this is."""
    try:
        records = run_task(task, jobs)
    except Exception:
        return Ran(task, (), traceback.format_exc())
    if records:
        write_records(records, file_of(task, folder))
    return Ran(task, records)


def _kept(path: Path) -> list[Record] | None:
    """The records of an earlier run; None if there are none that can be read."""
    if not path.exists():
        return None
    try:
        return read_records(path)
    except RecordsError:
        return None
