"""Cells on the workers of a dask cluster."""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.clusters import started
from fishergauge.reports.sweep.computation import question_of, said_of
from fishergauge.reports.sweep.dask_client import connected
from fishergauge.reports.sweep.dask_task import answer_on_worker
from fishergauge.reports.sweep.engine import MOST_ATTEMPTS, EngineError, line_of, line_of_the_dead
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.waiting import Waiting

GLANCE = 0.5


class DaskEngine:
    """The workers of a scheduler that runs, or of a cluster that is started for the sweep and closed after it.

    Each thread of a worker takes one cell at a time and computes it in a process of its own. Cells whose worker is lost are
    given to others by the scheduler; a cell whose worker is lost three times has failed, and is taken back where the scheduler
    has given it to a fourth one by then.

    Args:
        scheduler: address of a scheduler that runs; or empty.
        cluster: a cluster to start, see :func:`fishergauge.reports.sweep.clusters.started`; or empty.
        say: is told that it waits for workers.
        patience: seconds to wait for the scheduler.
    """

    name = "dask"

    def __init__(
        self, scheduler: str = "", cluster: str = "", say: Callable[[str], None] = print, patience: float = 10.0
    ) -> None:
        self.scheduler, self.cluster, self.say, self.patience = scheduler, cluster, say, patience

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        """Compute cells: timing ones first, one after another; see :class:`fishergauge.reports.sweep.engine.Engine`."""
        with self._client() as client:
            for alone in (True, False):
                run = _Run(client, self, [cell for cell in cells if bool(cell.alone) == alone], alone)
                try:
                    yield from run.lines()
                finally:
                    run.cancel()

    @contextmanager
    def _client(self) -> Iterator[Any]:
        cluster = started(self.cluster) if self.cluster else None
        try:
            client = connected(cluster.scheduler_address if cluster is not None else self.scheduler, self.patience)
            try:
                yield client
            finally:
                client.close(timeout=self.patience)
        finally:
            if cluster is not None:
                cluster.close()


class _Run:
    """Cells on their way through a client."""

    def __init__(self, client: Any, engine: DaskEngine, cells: Sequence[SweepCell], alone: bool) -> None:
        self.client, self.engine, self.alone = client, engine, alone
        self.waiting, self.begun = Waiting(cells), Counter[SweepCell]()
        self.running: dict[str, tuple[SweepCell, Any]] = {}
        self.ended: SimpleQueue[Any] = SimpleQueue()  # futures that ended, and sets of keys whose worker was lost
        self.gone = 0.0
        self.said = False

    def lines(self) -> Iterator[Line]:
        """The lines as the cells end."""
        self.client.subscribe_topic("all", self._listen)
        while self.waiting or self.running:
            self._fill()
            try:
                ended = self.ended.get(timeout=GLANCE)
            except Empty:
                self._threads()
                continue
            if isinstance(ended, frozenset):
                yield from self._lost(ended)
            elif ended.key in self.running:
                cell, _ = self.running.pop(ended.key)
                if (line := self._line(cell, ended)) is not None:
                    self._fill()
                    yield line

    def cancel(self) -> None:
        """Take back what has not ended, and hear no more of workers."""
        if self.client.status == "running":
            if self.running:
                self.client.cancel([future for _, future in self.running.values()], force=True)
            self.client.unsubscribe_topic("all")
        self.running.clear()

    def _listen(self, event: tuple[float, Any]) -> None:
        """Hear of workers that were lost, and what they had; called in another thread."""
        _, said = event
        if isinstance(said, dict) and said.get("action") == "remove-worker" and not said.get("expected"):
            self.ended.put(frozenset(said["processing-tasks"]))

    def _fill(self) -> None:
        """Give as many cells as there are threads to take them."""
        if not self.waiting or (threads := self._threads()) is None:
            return
        if not threads and not self.said:
            self.engine.say(f"no worker is connected to {self.client.scheduler.address} yet: waiting for one")
            self.said = True
        while self.waiting and len(self.running) < (1 if self.alone else max(1, threads)):
            cell = self.waiting.next("")
            self.begun[cell] += 1
            name = f"fishergauge-{uuid4().hex}"
            future = self.client.submit(answer_on_worker, question_of(cell), cell.group, key=name, pure=False)
            self.running[name] = cell, future
            future.add_done_callback(self.ended.put)

    def _line(self, cell: SweepCell, future: Any) -> Line | None:
        """The line of a cell that ended; None where it is begun again."""
        if future.status == "error":
            error = future.exception(timeout=self.engine.patience)
            if isinstance(error, require("distributed.scheduler", "dask").KilledWorker):
                return line_of_the_dead(cell, error.allowed_failures + 1, "its worker was lost each time")
            raise EngineError(
                f"the workers cannot compute cells ({said_of(error)}); install the same fishergauge there as here"
            ) from error
        if future.status != "finished":  # cancelled, or lost with the scheduler's memory: not its doing
            self.begun[cell] -= 1
            self.waiting.add(cell)
            return None
        try:
            answer = future.result(timeout=self.engine.patience)
        except Exception as error:  # lost with its worker on the way
            how = said_of(error)
        else:
            how = json.loads(answer).get("died")
            if how is None:
                return line_of(cell, answer, self.begun[cell])
        if self.begun[cell] < MOST_ATTEMPTS:
            self.waiting.add(cell)
            return None
        return line_of_the_dead(cell, self.begun[cell], how)

    def _lost(self, names: frozenset[str]) -> Iterator[Line]:
        """Count the attempts of cells whose worker was lost, which the scheduler gives to another one, and end the third."""
        for name in names & self.running.keys():
            cell, future = self.running[name]
            if self.begun[cell] >= MOST_ATTEMPTS:
                del self.running[name]
                self.client.cancel([future], force=True)
                yield line_of_the_dead(cell, self.begun[cell], "its worker was lost each time")
            else:
                self.begun[cell] += 1

    def _threads(self) -> int | None:
        """How many threads the workers have, None while the scheduler does not answer.

        Raises:
            EngineError: it has not answered for long.
        """
        if self.client.status == "running":
            with suppress(OSError):
                threads: int = sum(self.client.nthreads().values())
                self.gone = 0.0
                return threads
        now = time.monotonic()
        self.gone = self.gone or now
        if self.client.status == "closed" or now - self.gone > self.engine.patience:
            where = self.engine.scheduler or self.engine.cluster
            raise EngineError(
                f"the dask scheduler at {where} has gone away; what is finished is kept: start it again, and give the same "
                "command"
            )
        return None
