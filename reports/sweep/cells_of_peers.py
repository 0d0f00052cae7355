"""The runs of ``fishergauge peers`` as cells of a sweep: one quantity of a library in one precision each."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.peers.execution import PeerTask, run_task
from fishergauge.suites.peers.registry import version_of
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import record_of

FUNCTION = "fishergauge.reports.sweep.cells_of_peers:records_of"


def library_of(task: PeerTask) -> str:
    """The library whose quantity a task checks."""
    return task.subject.partition("/")[0]


def sweep_cells(tasks: Sequence[PeerTask]) -> dict[PeerTask, SweepCell]:
    """What is sent to the processes that run tasks; those of different libraries never share one.

    Args:
        tasks: what is checked.

    Example:
        >>> [cell.group for cell in sweep_cells([PeerTask("backpack/kflr"), PeerTask("singd/kfac-expand")]).values()]
        ['backpack', 'singd']
    """
    several = len({library_of(task) for task in tasks}) > 1
    cells = {}
    for task in tasks:
        library = library_of(task)
        settings = asdict(task)
        group = library if several else ""
        cells[task] = make_cell(FUNCTION, task.label, group=group, version=version_of(library), **settings)
    return cells


def records_of(version: str, **task: Any) -> list[dict[str, Any]]:
    """Run a task, in whichever process this is.

    Args:
        version: of the library where the sweep was begun.
        task: the fields of a :class:`~fishergauge.suites.peers.execution.PeerTask`.

    Returns:
        The records as JSON has them.

    Raises:
        RuntimeError: another version of the library is installed here.
    """
    asked = PeerTask(**task)
    library = library_of(asked)
    if (here := version_of(library)) != version:
        raise RuntimeError(
            f"{library} is {here or 'not installed'} here and {version} where the sweep was begun; install {version} on every "
            "machine of the sweep"
        )
    return [jsonable(record.as_dict()) for record in run_task(asked)]


def read(result: Sequence[Any], task: PeerTask) -> list[Record]:
    """The records of a finished cell.

    Args:
        result: of its line.
        task: that it ran.
    """
    return [record_of(content, task.label) for content in result]
