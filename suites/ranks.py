"""A function in several processes at once, each a rank of one group of ``torch.distributed``."""

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed

from fishergauge.suites import rank_process
from fishergauge.suites.guard import Failure
from fishergauge.suites.rank_process import RankOutcome
from fishergauge.suites.worker import forked
from fishergauge.suites.workers import heartbeat, why_not_isolated

GLANCE = 0.25
GRACE = 5.0

__all__ = ["RankOutcome", "RanksFailed", "in_ranks", "run_ranks", "why_no_ranks"]


class RanksFailed(RuntimeError):
    """A rank failed; the message has the traceback of each rank that did, the one that failed first in front."""


def why_no_ranks() -> str:
    """Why no ranks can be started from this process; empty if they can.

    Example:
        >>> isinstance(why_no_ranks(), str)
        True
    """
    if not distributed.is_available() or not distributed.is_gloo_available():
        return "this build of torch has no gloo"
    if distributed.is_initialized():
        return "this process belongs to a process group already, which does not survive a fork"
    return _why_no_fork(os.getpid(), torch.get_num_threads())


@lru_cache(maxsize=1)
def _why_no_fork(process: int, threads: int) -> str:
    """Why this process cannot fork; found out once, as that takes a fork."""
    return why_not_isolated()


def in_ranks(function: Callable[[int, distributed.ProcessGroup], Any], world: int, limit: float = 60.0) -> list[Any]:
    """What a function gives on each rank.

    Args:
        function: as for :func:`run_ranks`.
        world: W, how many ranks.
        limit: seconds, as for :func:`run_ranks`.

    Returns:
        By rank.

    Raises:
        RanksFailed: a rank raised, ended or did not come back.

    Example:
        >>> import torch
        >>> in_ranks(lambda rank, group: distributed.get_world_size(group), 2)
        [2, 2]
    """
    outcomes = run_ranks(function, world, limit)
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    if failed:
        raise RanksFailed("\n".join(told(one) for one in first_to_fail(failed)))
    return [outcome.value for outcome in outcomes]


def told(outcome: RankOutcome) -> str:
    """A failed rank in words: which one, why, and its traceback."""
    reason = outcome.failure.reason if outcome.failure is not None else "returned"
    return f"rank {outcome.rank}: {reason}\n{outcome.trace}".rstrip()


def first_to_fail(outcomes: Sequence[RankOutcome]) -> list[RankOutcome]:
    """Failed ranks, those that failed by themselves before those that only waited for another one, the first in time first."""
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    return sorted(failed, key=lambda outcome: (outcome.waited, outcome.seconds))


def run_ranks(
    function: Callable[[int, distributed.ProcessGroup], Any], world: int, limit: float = 60.0, patience: float | None = None
) -> list[RankOutcome]:
    """Call a function in W forked processes that form a group (gloo, rendezvous by a file in a temporary folder).

    A rank that is through stays until all are, so that a collective that it was to take part in runs into its time limit on
    the others, and is not cut off by a closed connection. Processes that do not come back are killed.

    Args:
        function: called as ``function(rank, group)``; inherited by the fork, so that it may be a closure. What it returns is
            pickled.
        world: W, at least one.
        limit: seconds that a collective may take.
        patience: seconds that a rank may take in all; by default three limits.

    Returns:
        What became of each rank, by rank.

    Raises:
        ValueError: there are no ranks.
        RuntimeError: none can be started here, see :func:`why_no_ranks`.

    Example:
        >>> [outcome.value for outcome in run_ranks(lambda rank, group: rank, 3)]
        [0, 1, 2]
    """
    if world < 1:
        raise ValueError(f"a group has at least one rank, not {world}")
    reason = why_no_ranks()
    if reason:
        raise RuntimeError(f"no ranks can be started here: {reason}")
    patience = 3 * limit if patience is None else patience
    with TemporaryDirectory(prefix="ranks-") as folder:
        members: list[_Member] = []
        try:
            for rank in range(world):
                members.append(_Member(function, rank, world, Path(folder, "rendezvous"), (limit, patience), members))
            return _outcomes(members, patience + GRACE)
        finally:
            for member in members:
                member.end()


def _outcomes(members: "Sequence[_Member]", patience: float) -> list[RankOutcome]:
    """Wait until every rank has said what became of it, is gone, or has been waited for long enough."""
    end = time.monotonic() + patience
    while (open_ones := [m for m in members if m.outcome is None]) and time.monotonic() < end:
        heartbeat()
        wait([m.connection for m in open_ones], GLANCE)
        for member in open_ones:
            member.listen()
    for member in members:
        if member.outcome is None:
            where = f"stopped after {patience:g} s: it does not react"
            member.outcome = RankOutcome(member.rank, failure=Failure("timeout", where), seconds=patience)
    return [member.outcome for member in members if member.outcome is not None]


class _Member:
    """A rank as its parent sees it."""

    def __init__(
        self,
        function: Callable[[int, distributed.ProcessGroup], Any],
        rank: int,
        world: int,
        rendezvous: Path,
        limits: tuple[float, float],
        others: "Sequence[_Member]",
    ) -> None:
        self.rank, self.outcome = rank, None  # type: tuple[int, RankOutcome | None]
        self.started = time.monotonic()
        self.connection, end = Pipe()
        closed = [self.connection, *(member.connection for member in others)]
        try:
            self.process: ForkProcess = forked(
                rank_process.main, function, rank, world, rendezvous, *limits, end, closed, os.getpid()
            )
        finally:
            end.close()

    def listen(self) -> None:
        """What it says, if anything."""
        connection: Connection[Any, Any] = self.connection
        try:
            if connection.poll():
                self.outcome = connection.recv()
        except (EOFError, OSError):
            self.process.join(GRACE)
            seconds = time.monotonic() - self.started
            reason = f"the process ended with exit code {self.process.exitcode}, without a word"
            self.outcome = RankOutcome(self.rank, failure=Failure("error", reason), seconds=seconds)

    def end(self) -> None:
        """End it and free what it held."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()
