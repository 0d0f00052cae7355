"""Cells on several processes of this machine, by joblib's loky."""

from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.engine import MOST_ATTEMPTS, line_of, line_of_the_dead
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.own_process import OwnProcess, how_it_died
from fishergauge.reports.sweep.waiting import Waiting


class LokyEngine:
    """Several processes, each with one cell at a time, so that a process that dies costs no other cell anything.

    Args:
        jobs: number of processes.

    Raises:
        ValueError: it is below one.
    """

    name = "joblib"

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise ValueError(f"the number of processes is at least one, not {jobs}")
        self.jobs = jobs

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        """Compute cells: timing ones first, one after another; see :class:`fishergauge.reports.sweep.engine.Engine`."""
        yield from _run([cell for cell in cells if cell.alone], 1)
        yield from _run([cell for cell in cells if not cell.alone], self.jobs)


def _run(cells: Sequence[SweepCell], jobs: int) -> Generator[Line, None, None]:
    """Compute cells on that many processes."""
    waiting, begun = Waiting(cells), Counter[SweepCell]()
    idle = [OwnProcess() for _ in range(min(jobs, len(cells)))]
    processes = list(idle)
    running: dict[Future[str], tuple[SweepCell, OwnProcess]] = {}
    lines: list[Line] = []
    try:
        while waiting or running:
            while waiting and idle:
                process = idle.pop()
                cell = waiting.next(process.group)
                begun[cell] += 1
                running[process.begin(cell)] = cell, process
            yield from lines  # while they are written, the processes work
            lines = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell, process = running.pop(future)
                idle.append(process)
                if (error := future.exception()) is None:
                    lines.append(line_of(cell, future.result(), begun[cell]))
                    continue
                process.end()
                if begun[cell] < MOST_ATTEMPTS:
                    waiting.add(cell)
                else:
                    lines.append(line_of_the_dead(cell, begun[cell], how_it_died(error)))
        yield from lines
    finally:
        for process in processes:
            process.end()
