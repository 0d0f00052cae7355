"""The probes test themselves: planted defects whose dense verdict is known go through them, and correct subjects as well."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.comparison import summands
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.guard import fresh_copy, guarded
from fishergauge.suites.matrix import check_values, densified, shape_of
from fishergauge.suites.meta.bank import BANK, Defect
from fishergauge.suites.meta.bank.defect import NoSuchMistake
from fishergauge.suites.meta.bank.pieces import pieces_of
from fishergauge.suites.meta.bank.solving import SOLVING
from fishergauge.suites.meta.probe_blind import BLIND
from fishergauge.suites.meta.probe_problems import BUILDERS, Scale, probe_problem
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.probes.execution import NotBuilt, ProbeExecutor, as_it_is
from fishergauge.suites.probes.plan import ProbeOptions, chosen_probes
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.probes.registry import PROBES
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Check
from fishergauge.suites.subject import Subject
from fishergauge.suites.workers import run_isolated

LIMITS: Mapping[Scale, float] = {"small": 20.0, "1e3": 60.0, "1e4": 300.0}
"""Seconds for a call of a planted defect, which may form several (P, P) arrays."""
DEAR = frozenset({"D46", "P58", "P59", "P156", "P201", *(defect.id for defect in SOLVING)})
"""Defects that factorise (P, P) arrays."""
HANGING = "P247"
HANGS_BEYOND = 20.0  # seconds; it sleeps for longer
PATIENCE = 600.0
ROWS = 1000  # of a matrix that are compared at a time


@dataclass(frozen=True)
class ProbeRow:
    """What became of one planted defect.

    Args:
        defect: its id.
        problem: on which the mistake can be made; empty where that is none of them.
        size: P of it.
        dense: deviation of the wrong matrix over its bound; None where the defect is no matter of entries, so that the
            dense verdict is that of the claims that see it on the catalogue.
        seen: id of the first probe that turns red; empty where none does.
        measured: by that probe.
        bound: of that probe.
        said: by that probe: its witness, or why the subject failed.
        fatal: why its process ended, if it did.
    """

    defect: str
    problem: str = ""
    size: int = 0
    dense: float | None = None
    seen: str = ""
    measured: float | None = None
    bound: float | None = None
    said: str = ""
    fatal: str = ""

    @property
    def red(self) -> bool:
        """Whether the dense verdict is red."""
        return bool(self.problem) and (self.dense is None or self.dense > 1)

    @property
    def found(self) -> bool:
        """Whether the probes see it."""
        return bool(self.seen) or bool(self.fatal)


def probe_rows(scale: Scale = "1e4", ids: Sequence[str] | None = None, jobs: int = 1) -> Iterator[ProbeRow]:
    """Each planted defect through the probes, on a problem on which its dense verdict is red, as they come.

    Estimators form hundreds of (P, P) arrays for one verdict, and some mistakes are made by factorising one: the largest
    problem for them has some 1e3 parameters.

    Args:
        scale: of the problems.
        ids: of the defects; all by default.
        jobs: number of processes; each holds some (P, P) arrays.
    """
    importlib.import_module("torch._dynamo")  # see ProbeExecutor
    groups = [[id] for id in (BANK if ids is None else ids)]
    with (
        one_thread(),
        closing(
            run_isolated(
                lambda id: defect_row(id, scale),
                groups,
                jobs=jobs,
                limit=PATIENCE,
                give_up=lambda id, why: ProbeRow(id, place(BANK[id]) or "planted-softmax", fatal=why),
            )
        ) as results,
    ):
        for _, row in results:
            yield row


def defect_row(id: str, scale: Scale) -> ProbeRow:
    """One planted defect through the probes."""
    defect = BANK[id]
    name = place(defect)
    if not name:
        return ProbeRow(id)
    subject = defect.make()
    dear = subject.drawn or id in DEAR
    problem = probe_problem(name, "1e3" if dear and scale == "1e4" else scale)
    row = ProbeRow(id, name, problem.num_parameters, dense_slack(defect, problem))
    limit = HANGS_BEYOND if id == HANGING else LIMITS[scale]
    record = next((record for record in probed(subject, problem, limit=limit) if record.red), None)
    if record is None:
        return row
    said = record.witness or record.reason
    return replace(row, seen=record.claim, measured=record.measured, bound=record.bound, said=said)


def probed(subject: Subject, problem: Problem, seed: int = 0, limit: float = 60.0) -> Iterator[ProbeRecord]:
    """The records of a subject on a problem, one probe after another, in this process.

    Args:
        subject: under test.
        problem: of any size.
        seed: of the draws.
        limit: seconds for a call.
    """
    dtype = str(problem.dtype).removeprefix("torch.")
    options = ProbeOptions(dtype=dtype, device=problem.device.type, seed=seed, limit=limit)
    executor = ProbeExecutor(subject, options, {problem.name: as_it_is(problem)}, PROBES)
    for probe in chosen_probes(subject, options):
        record = executor.run(Check(probe.id, problem.name, dtype, options.device, seed))
        if isinstance(record, NotBuilt):
            raise RuntimeError(f"{problem.name} cannot be probed: {record.reason}")
        yield record


@cache
def place(defect: Defect) -> str:
    """The first problem on which the mistake shows, by the entries of the matrix at the small scale; else the first at all.

    Empty for a mistake of entries that can be made on none of the problems.
    """
    if defect.fatal:
        return next(iter(BUILDERS))
    for name in BUILDERS:
        problem = probe_problem(name, "small")
        slack = dense_slack(defect, problem) if defect.wrong is not None else _built_slack(defect, problem)
        if slack is not None and slack > 1:
            return name
    return "" if defect.wrong is not None else next(iter(BUILDERS))


def dense_slack(defect: Defect, problem: Problem) -> float | None:
    """Deviation of the defect's wrong matrix from the right one over the rounding bound; 0 where it cannot be made."""
    if defect.wrong is None:
        return None
    subject, pieces = defect.make(), pieces_of(problem)
    try:
        wrong = defect.wrong(pieces, subject)
    except (NoSuchMistake, UndefinedError, NotImplementedError):
        return 0.0
    return _slack(wrong, pieces.right(subject), problem)


def _built_slack(defect: Defect, problem: Problem) -> float | None:
    """The same of what the subject returns; infinite where it fails or returns no matrix, None where it is right."""
    subject = defect.make()
    copy = fresh_copy(problem)
    keywords = {"generator": torch.Generator().manual_seed(0)} if "generator" in subject.keywords and subject.drawn else {}

    def built() -> Tensor:
        matrix = subject.build(copy, **keywords)
        if shape_of(matrix) != (copy.num_parameters,) * 2:
            raise ValueError("another shape")
        dense = densified(matrix, copy)
        check_values(dense, copy, "the matrix")
        return dense

    outcome = guarded(built, limit=2.0)
    if outcome.failure is not None:
        return None if outcome.failure.kind in ("undefined", "unsupported") else float("inf")
    try:
        right = pieces_of(problem).right(subject)
    except (UndefinedError, NotImplementedError):
        return None
    return _slack(outcome.value, right, problem)


def _slack(wrong: Tensor, right: Tensor, problem: Problem) -> float:
    """|wrong - right| / |right| over the bound, some rows at a time."""
    difference = size = 0.0
    for first in range(0, len(right), ROWS):
        part = slice(first, first + ROWS)
        difference += float((wrong[part] - right[part]).square().sum())
        size += float(right[part].square().sum())
    if size == 0:
        return 0.0 if difference == 0 else float("inf")
    return float((difference / size) ** 0.5) / rounding_bound(problem.dtype, summands(problem))


def probe_complaints(rows: Sequence[ProbeRow], blind: Mapping[str, str] = BLIND) -> list[str]:
    """What is wrong with the probes: defects that they miss without a word, and blindness that is none.

    Args:
        rows: of planted defects.
        blind: why a defect cannot be seen, by its id.
    """
    found = []
    for row in rows:
        if row.red and not row.found and row.defect not in blind:
            found.append(f"{row.defect} is seen by no probe on {row.problem}, and nothing says why")
        if row.found and row.defect in blind:
            found.append(f"{row.defect} is said to be invisible to probes, and {row.seen or row.fatal} sees it")
    return found + [f"{id} is no planted defect" for id in blind if id not in BANK]


def probes_cleared(
    scale: Scale = "1e4",
    names: Sequence[str] | None = None,
    problems: Sequence[str] = tuple(BUILDERS),
    seeds: Sequence[int] = (0,),
    jobs: int = 1,
) -> Iterator[tuple[str, str, int, tuple[Record, ...]]]:
    """Correct subjects through the probes.

    Args:
        scale: of the problems.
        names: of the subjects; all by default.
        problems: names of the problems.
        seeds: of the draws.
        jobs: number of processes.

    Yields:
        Subject, problem, number of probes that measured something, and the records that are red.
    """
    subjects = correct_subjects()
    cells = [
        [(name, problem, seed) for problem in problems] for name in (subjects if names is None else names) for seed in seeds
    ]

    def run(cell: tuple[str, str, int]) -> tuple[int, tuple[Record, ...]]:
        name, problem, seed = cell
        records = [
            record for record in probed(subjects[name], probe_problem(problem, scale), seed, LIMITS[scale]) if not record.empty
        ]
        return len(records), tuple(record for record in records if record.red)

    def given_up(cell: tuple[str, str, int], reason: str) -> tuple[int, tuple[Record, ...]]:
        return 1, (Record(cell[0], "*", cell[1], verdict="error", reason=reason),)

    with one_thread(), closing(run_isolated(run, cells, jobs=jobs, limit=PATIENCE, give_up=given_up)) as results:
        for (name, problem, _), (count, red) in results:
            yield name, problem, count, red
