"""What a worker of dask runs: a cell in a process of its own beside the worker's, so that no cell takes a worker with it."""

import json
import multiprocessing
import threading
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.own_process import OwnProcess, how_it_died

GLANCE = 0.5
_own = threading.local()  # a worker has a thread for each cell that it takes at a time


def answer_on_worker(question: str, group: str) -> str:
    """Compute a cell in a process that this thread of the worker keeps for the next cells of the same group.

    Args:
        question: the cell as JSON.
        group: of the cell.

    Returns:
        The answer of :func:`fishergauge.reports.sweep.computation.answer_to`, or JSON with ``died`` where its process ended.
    """
    if not hasattr(_own, "process"):
        multiprocessing.current_process().daemon = False  # a nanny's worker is one, and could have no processes
        _own.process = OwnProcess()
        Finalize(None, _own.process.end, exitpriority=10)  # before the worker, at its end, waits for its processes
    process: OwnProcess = _own.process
    try:
        answer = process.ask(question, group)
        while not wait([answer], GLANCE).done:
            if _taken_back():
                process.end()
                return json.dumps({"died": "it was taken back"})
        return answer.result()
    except BrokenProcessPool as error:
        process.end()
        return json.dumps({"died": how_it_died(error)})


def _taken_back() -> bool:
    """Whether nobody waits any more for what this thread computes."""
    distributed = require("distributed", "dask")
    worker = distributed.get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state == "cancelled"
