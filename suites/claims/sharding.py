"""One matrix of data that lie with several ranks: each of them has that of all data."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, distributed

from fishergauge.reference import Problem
from fishergauge.reference.distributed_shard import Shard, shards_of
from fishergauge.suites.alarm import Alarm
from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.comparison import compared, worst
from fishergauge.suites.guard import Failure, fresh_copy
from fishergauge.suites.matrix import densified
from fishergauge.suites.rank_process import RankOutcome, failed
from fishergauge.suites.ranks import first_to_fail, run_ranks, why_no_ranks
from fishergauge.suites.subject import Subject

BOUND = "64 u sqrt(n)"
PROCESSES = 3
GROUPS: tuple[tuple[int, ...], ...] = ((0,), (0, 1), (0, 1, 2), (0, 2))
LIMITS = 2.0  # limits of a collective that one call may take: it has one before the collective, and the collective has one
OFTEN = 3
_stopped: WeakKeyDictionary[Subject, list[str]] = WeakKeyDictionary()
"""On which problems a subject has been stopped in this process, so that it is not waited for over and over."""


@dataclass(frozen=True)
class Layout:
    """Which processes form the group, and how many samples each of its ranks has.

    Args:
        members: of all processes those that form the group, in order.
        counts: of samples, piece by piece in the order of the data.
        holders: which rank of the group has the first piece, the second, ...
    """

    members: tuple[int, ...]
    counts: tuple[int, ...]
    holders: tuple[int, ...]

    def shard(self, problem: Problem, rank: int) -> Shard:
        """The data of a rank of the group."""
        return shards_of(problem, self.counts)[self.holders.index(rank)]

    def __str__(self) -> str:
        by_rank = [self.counts[self.holders.index(rank)] for rank in range(len(self.counts))]
        text = f"{len(by_rank)} rank{'s' if len(by_rank) > 1 else ''} with {' and '.join(map(str, by_rank))} samples"
        return text if len(self.members) == PROCESSES else f"{text} (process {' and '.join(map(str, self.members))})"


@dataclass(frozen=True)
class Stopped:
    """A call that gave no matrix.

    Args:
        layout: at which.
        outcome: of the rank.
    """

    layout: Layout
    outcome: RankOutcome


def layouts(samples: int) -> list[Layout]:
    """Groups of one, two and three ranks with uneven and empty shards, and the same pieces with other ranks.

    Args:
        samples: N.

    Example:
        >>> [str(one) for one in layouts(10)][1:4]  # doctest: +NORMALIZE_WHITESPACE
        ['2 ranks with 7 and 3 samples (process 0 and 1)', '2 ranks with 3 and 7 samples (process 0 and 1)',
         '2 ranks with 10 and 0 samples (process 0 and 1)']
    """
    third, tenth = samples * 3 // 10, samples // 10
    two, three = (samples - third, third), (samples - third - tenth, third, tenth)
    return [
        Layout((0,), (samples,), (0,)),
        Layout((0, 1), two, (0, 1)),
        Layout((0, 1), two, (1, 0)),
        Layout((0, 1), (samples, 0), (0, 1)),
        Layout((0, 1, 2), three, (0, 1, 2)),
        Layout((0, 1, 2), three, (2, 0, 1)),
        Layout((0, 1, 2), (two[0], 0, two[1]), (0, 1, 2)),
        Layout((0, 1, 2), (0, samples, 0), (0, 1, 2)),
        Layout((0, 2), two, (0, 1)),
    ]


def the_same_on_every_rank(case: Case) -> Finding:
    """The matrix that each rank makes of its shard and its group, against that of all data in one process."""
    _possible(case)
    plan, limit, expected = layouts(case.problem.num_samples), case.limit, case.matrix()
    compare = partial(
        compared, expected=expected, problem=case.problem, scale=case.size(expected), condition=case.basis_condition()
    )
    patience = LIMITS * limit * len(plan)

    def on_process(number: int, everybody: distributed.ProcessGroup) -> list[Finding | Stopped]:
        groups = {members: distributed.new_group(list(members), timeout=timedelta(seconds=limit)) for members in GROUPS}
        steps = distributed.new_group(timeout=timedelta(seconds=patience))  # of this claim, to go through the layouts together
        found: list[Finding | Stopped] = []
        for layout in plan:
            if number in layout.members:
                found.append(_one(case, layout, number, groups[layout.members], compare))
            stop = torch.tensor([bool(found) and isinstance(found[-1], Stopped)], dtype=torch.uint8)
            distributed.all_reduce(stop, group=steps)
            if bool(stop):
                break
        return found

    outcomes = run_ranks(on_process, PROCESSES, limit, patience)
    values = [value for one in outcomes if one.failure is None for value in one.value]
    stopped = [value for value in values if isinstance(value, Stopped)]
    if stopped or any(one.failure is not None for one in outcomes):
        raise SubjectFailed(_told(case, stopped, [one for one in outcomes if one.failure is not None]))
    return worst(*(value for value in values if isinstance(value, Finding)))


def _one(
    case: Case, layout: Layout, number: int, group: distributed.ProcessGroup, compare: Callable[[Tensor], Finding]
) -> Finding | Stopped:
    """What the matrix of one rank is, or what became of the call."""
    rank, started = layout.members.index(number), time.monotonic()
    try:
        with Alarm(LIMITS * case.limit):
            shard = fresh_copy(layout.shard(case.problem, rank))
            finding = compare(densified(case.subject.build(shard, group=group), case.problem))
    except BaseException as error:
        return Stopped(layout, failed(rank, error, time.monotonic() - started))
    return replace(finding, witness=f"{layout}: rank {rank} has {finding.witness}")


def _possible(case: Case) -> None:
    """Refuse what cannot be examined here."""
    reason = why_no_ranks()
    if case.problem.device.type != "cpu":
        reason = f"ranks of a forked process cannot use {case.problem.device.type}; the claim is examined on the CPU"
    if reason:
        raise NotHere(reason)
    weight = getattr(case.problem.loss, "weight", None)
    if weight is not None and weight.shape[:1] == (case.problem.num_samples,):
        raise NotHere("the loss may weigh samples one by one")
    stopped = _stopped.get(case.subject, [])
    if len(stopped) >= OFTEN:
        raise SubjectFailed(Failure("timeout", f"not tried: its ranks were stopped on {', '.join(stopped[:OFTEN])}"))


def _told(case: Case, stopped: Sequence[Stopped], ended: Sequence[RankOutcome]) -> Failure:
    """What became of the ranks as one failure: that of the one that failed first, and what the others did."""
    outcomes = first_to_fail([one.outcome for one in stopped] or ended)
    kind = outcomes[0].failure.kind if outcomes[0].failure is not None else "error"
    if kind == "timeout":
        _stopped.setdefault(case.subject, []).append(case.problem.name)
    alone = [one for one in outcomes if not one.waited] or outcomes
    word = "rank" if stopped else "process"
    reasons = [f"{word} {one.rank}: {one.failure.reason}" for one in alone if one.failure is not None]
    waiting = [one.rank for one in outcomes if one not in alone]
    if waiting:
        reasons.append(f"{word} {' and '.join(map(str, waiting))} waited for it in a collective")
    if not stopped:
        return Failure(kind, "; ".join(reasons))
    layout = stopped[0].layout
    returned = sorted(set(range(len(layout.members))) - {one.rank for one in outcomes})
    if returned:
        reasons.append(f"rank {' and '.join(map(str, returned))} returned")
    return Failure(kind, f"{layout}: {'; '.join(reasons)}")


CLAIMS = (
    Claim(
        id="T26-shards",
        name="shard-invariant",
        statement="on ranks that share the data, however unevenly, each rank has the matrix of all data",
        source="definition; Martens and Grosse 2015, sec. 5",
        scope=Scope(group=True),
        excludes=frozenset({"many-terms"}),
        bound=BOUND,
        control="the mean of rank means; products of Kronecker factors averaged; a rank without data that stays away",
        measure=the_same_on_every_rank,
        cost=9,
    ),
)
