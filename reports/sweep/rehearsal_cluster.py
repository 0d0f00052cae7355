"""A dask cluster of this machine, each of its processes on its own, for tests to kill."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.dask_engine import DaskEngine
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.rehearsal import PATIENCE
from fishergauge.reports.sweep.store import SweepStore


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


class Cluster:
    """A scheduler and workers, each in a process of its own with one thread.

    Args:
        folder: of the processes.
        exits: ends them.
        workers: how many.
        options: of each worker.
    """

    def __init__(self, folder: Path, exits: ExitStack, workers: int = 2, *options: str) -> None:
        self.folder, self.exits = folder, exits
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file))
        until(lambda: file.exists() and file.read_text().rstrip().endswith("}"))  # it is written piece by piece
        self.address = json.loads(file.read_text())["address"]
        options = (self.address, "--nworkers", "1", "--nthreads", "1", *options)
        for _ in range(workers):
            self._start("worker", "--local-directory", str(folder), *options)

    def _start(self, what: str, *options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options]
        log = self.exits.enter_context((self.folder / f"{what}.log").open("ab"))
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        self.exits.callback(process.wait)
        self.exits.callback(_kill_tree, process.pid)
        return process

    def run(self, cells: list[SweepCell], store: SweepStore, **options: object) -> dict[SweepCell, Line]:
        """Compute cells into a store."""
        return sweep(cells, store, DaskEngine(self.address, **options))  # type: ignore[arg-type]


def _kill_tree(number: int) -> None:
    psutil = require("psutil", "dask")
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(number)
        for process in [first, *first.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def started(folder: Path, workers: int = 2, *options: str) -> Iterator[Cluster]:
    """A cluster while the context lasts."""
    with ExitStack() as exits:
        yield Cluster(folder, exits, workers, *options)
