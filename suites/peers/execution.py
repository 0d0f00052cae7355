"""One quantity of a library checked, in a process that has imported this library and no other."""

import importlib
from dataclasses import dataclass
from functools import cache

from fishergauge.suites.conformance import check
from fishergauge.suites.expectations import Expectations
from fishergauge.suites.peers.adapting import quiet
from fishergauge.suites.peers.registry import peer_of
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Options, ProblemSet, plan

ALLOWED = 30.0
"""Seconds that one call of a library may take; some compile at their first one."""


@dataclass(frozen=True)
class PeerTask:
    """What is checked of one quantity: strings and numbers, so that another process can do it.

    Args:
        subject: its name.
        dtype: ``"float64"`` or ``"float32"``.
        quick: a covering subset of the problems.
        claims: globs, separated by commas.
        problems: globs, separated by commas.
        seed: of data, parameters and draws.
    """

    subject: str
    dtype: str = "float64"
    quick: bool = False
    claims: str = "*"
    problems: str = "*"
    seed: int = 0

    @property
    def label(self) -> str:
        """How a progress line calls it."""
        return f"{self.subject} {self.dtype}"


def run_task(task: PeerTask, jobs: int = 1) -> list[Record]:
    """Check one quantity; every check runs in a forked process, which the library cannot outlive.

    Args:
        task: what is checked.
        jobs: number of processes.

    Returns:
        The records, in the order of the plan.
    """
    peer = peer_of(task.subject)
    with quiet():
        importlib.import_module(peer.module)  # before the processes fork, or each of them would import it anew
    report = check(
        peer.subject,
        problems=task.problems,
        claims=task.claims,
        dtype=task.dtype,
        seed=task.seed,
        quick=task.quick,
        jobs=jobs,
        limit=ALLOWED,
        expectations=Expectations(peer.subject.name, ()),
        command=f"fishergauge peers --only {task.subject}",
    )
    return list(report.records)


@cache
def planned(task: PeerTask) -> frozenset[tuple[str, str]]:
    """Claim and problem of every check that a task makes."""
    problems = _problems(task.dtype, task.seed)
    options = Options(task.problems, task.claims, task.dtype, seed=task.seed, quick=task.quick)
    return frozenset((check.claim, check.problem) for check in plan(peer_of(task.subject).subject, options, problems))


@cache
def _problems(dtype: str, seed: int) -> ProblemSet:
    return ProblemSet(Options(dtype=dtype, seed=seed))
