"""Checks in processes of their own, so that a subject that crashes, exits or hangs costs its own check and no other."""

import multiprocessing
import multiprocessing.connection
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Generic, TypeVar

from fishergauge.suites import worker_process
from fishergauge.suites.process_state import cuda_in_use
from fishergauge.suites.worker import Order, Worker, forked
from fishergauge.suites.worker_process import heartbeat

C = TypeVar("C")
R = TypeVar("R")
GRACE = 5.0
GLANCE = 0.25
ATTEMPTS = 2

__all__ = ["HarnessError", "heartbeat", "run_isolated", "why_not_isolated"]


class HarnessError(RuntimeError):
    """A defect of the harness, not of the subject: a check raised in its worker process; the message holds the traceback."""


def why_not_isolated() -> str:
    """Why checks cannot run in processes of their own here; empty if they can.

    Example:
        >>> isinstance(why_not_isolated(), str)
        True
    """
    if "fork" not in multiprocessing.get_all_start_methods() or not hasattr(os, "setsid"):
        return "this platform cannot fork a process"
    if cuda_in_use():
        return "CUDA is in use in this process, and does not survive a fork"
    if multiprocessing.current_process().daemon:
        return "this process is a daemonic worker, which may have no processes of its own"
    probe = forked(worker_process.probe)
    probe.join(GRACE)
    if probe.exitcode is None:  # it hangs
        probe.kill()
        probe.join()
    code = probe.exitcode
    probe.close()
    return "" if code == 0 else "torch does not work in a forked process any more, as it has used its threads in this one"


def run_isolated(
    execute: Callable[[C], R],
    groups: Sequence[Sequence[C]],
    *,
    jobs: int,
    limit: float,
    give_up: Callable[[C, str], R],
    started: Callable[[C], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[tuple[C, R], None, None]:
    """Execute checks in forked processes, each group in one of them, and yield the results as they come.

    A process that ends, or that gives no sign of life for ``limit`` and five more seconds, costs the check that it works
    on; another one goes on with the rest of the group. Signs of life are results, and calls of :func:`heartbeat`, which
    :func:`fishergauge.suites.guard.guarded` makes at the beginning and the end of each call. What a process writes to its
    standard streams is thrown away. Where :func:`why_not_isolated` has a reason, everything runs in this process, one
    check after another. Leave the iterator by ``contextlib.closing`` or exhaust it: the processes end with it.

    Args:
        execute: a check to its result; inherited by the fork, so that it may be a closure. It must contain what the
            subject does by itself; results are pickled.
        groups: groups of checks that share what ``execute`` caches.
        jobs: number of processes.
        limit: seconds that ``execute`` allows for one call of the subject.
        give_up: a check and a reason to its result.
        started: called here when a check begins.
        progress: called here with the number of results so far and of all checks.

    Yields:
        Pairs of a check and its result, in order of completion.

    Raises:
        HarnessError: ``execute`` raised.
        ValueError: ``jobs`` is not positive.

    Example:
        >>> sorted(run_isolated(lambda n: n * n, [[1, 2], [3]], jobs=2, limit=5.0, give_up=lambda n, reason: 0))
        [(1, 1), (2, 4), (3, 9)]
    """
    if jobs < 1:
        raise ValueError(f"the number of jobs is at least one, not {jobs}")
    return _counted(_run(execute, groups, jobs, limit, give_up, started), sum(map(len, groups)), progress)


def _counted(
    results: Generator[tuple[C, R], None, None], total: int, progress: Callable[[int, int], None] | None
) -> Generator[tuple[C, R], None, None]:
    with closing(results):
        for done, pair in enumerate(results, start=1):
            if progress is not None:
                progress(done, total)
            yield pair


def _run(
    execute: Callable[[C], R],
    groups: Sequence[Sequence[C]],
    jobs: int,
    limit: float,
    give_up: Callable[[C, str], R],
    started: Callable[[C], None] | None,
) -> Generator[tuple[C, R], None, None]:
    if not why_not_isolated():
        pool = _Pool(execute, groups, limit, give_up, started)
        try:
            yield from pool.run(jobs)
        finally:
            pool.close()
        return
    for check in chain.from_iterable(groups):
        if started is not None:
            started(check)
        yield check, execute(check)


class _Pool(Generic[C, R]):
    """The workers, and what is still to be done."""

    def __init__(
        self,
        execute: Callable[[C], R],
        groups: Sequence[Sequence[C]],
        limit: float,
        give_up: Callable[[C, str], R],
        started: Callable[[C], None] | None,
    ) -> None:
        self.execute, self.groups, self.give_up, self.started = execute, groups, give_up, started
        self.patience = limit + GRACE
        self.orders = deque(Order(number, 0) for number, group in enumerate(groups) if len(group))
        self.workers: list[Worker] = []
        self.attempts = Counter[Order]()

    def run(self, jobs: int) -> Iterator[tuple[C, R]]:
        """Results until all is done."""
        while self.orders or self.workers:
            while self.orders and len(self.workers) < jobs:
                worker = Worker(self.execute, self.groups, self.workers)
                self.workers.append(worker)
                worker.send(self.orders.popleft())
            ends = [end for worker in self.workers for end in (worker.connection, worker.process.sentinel)]
            multiprocessing.connection.wait(ends, GLANCE)
            for worker in list(self.workers):
                ended = worker.process.exitcode is not None
                yield from self._listen(worker)
                if worker in self.workers and (ended or worker.deaf):
                    yield from self._replace(worker, f"{worker.fate()}{worker.where()}")
                elif worker in self.workers and time.monotonic() > worker.heard + self.patience:
                    worker.point_out()
                    yield from self._replace(worker, f"stopped after {self.patience:g} s: it does not react{worker.where()}")

    def close(self) -> None:
        """End all workers."""
        while self.workers:
            self.workers.pop().kill()

    def _listen(self, worker: Worker) -> Iterator[tuple[C, R]]:
        """Results that a worker has sent; it gets more work when it is through with its group."""
        for message in worker.messages():
            if message.kind == "idle":
                if self.orders:
                    worker.send(self.orders.popleft())
                else:
                    self._dismiss(worker)
                    return
            if message.kind not in ("begin", "result", "given-up", "defect"):
                continue
            check = self.groups[worker.order.group][message.position]
            worker.begun = message.kind == "begin"
            worker.order = worker.order._replace(first=message.position + (not worker.begun))
            if message.kind == "defect":
                raise HarnessError(f"{check}: the check itself failed, not the subject:\n{message.content}")
            if message.kind == "given-up":
                yield check, self.give_up(check, message.content)
            elif message.kind == "result":
                yield check, message.content
            elif self.started is not None:
                self.started(check)

    def _replace(self, worker: Worker, reason: str) -> Iterator[tuple[C, R]]:
        """End a worker; give up the check that it worked on, and put the rest of its group first in the queue."""
        self._dismiss(worker)
        order, begun = worker.order, worker.begun
        if order.first >= len(self.groups[order.group]):
            return
        if not begun:
            self.attempts[order] += 1
            if self.attempts[order] < ATTEMPTS:
                self.orders.appendleft(order)
                return
            reason = f"{reason}, before the check began"
        rest = order._replace(first=order.first + 1)
        if rest.first < len(self.groups[order.group]):
            self.orders.appendleft(rest)
        check = self.groups[order.group][order.first]
        yield check, self.give_up(check, reason)

    def _dismiss(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.kill()
