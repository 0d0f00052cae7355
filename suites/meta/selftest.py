"""The kit tests itself: planted defects x claims, and correct subjects that must be cleared."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.execution import Executor
from fishergauge.suites.meta.bank import BANK, Defect
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Check, Options, ProblemSet, plan
from fishergauge.suites.workers import run_isolated

LIMIT = 2.0  # seconds for a call of a planted defect; those that hang wait for it
BARE = " (structure none)"
KEPT: Mapping[str, str] = {
    "T21": "an oracle for the empirical Fisher that shares no formula with T1",
}
"""Claims that no planted defect needs, and why they are kept."""
NOTED: Mapping[str, str] = {"P243": "printing is contained and noted, not forbidden", "P244": "so are warnings"}
"""Defects that turn nothing red on purpose."""


@dataclass(frozen=True)
class Row:
    """What became of one planted defect.

    Args:
        defect: its id; with :data:`BARE` behind it where the subject declares no structure, so that only axioms remain.
        made: ids of the claims that the subject makes.
        caught: ids of the claims that turned red, each with the problem on which it did first.
        fatal: why its process ended, if it did; the run reports the check and goes on.
    """

    defect: str
    made: tuple[str, ...]
    caught: Mapping[str, str]
    fatal: str = ""

    @property
    def seen(self) -> bool:
        """Whether anything turned red."""
        return bool(self.caught) or bool(self.fatal)


def defect_rows(jobs: int = 1, seed: int = 0, ids: Sequence[str] | None = None) -> list[Row]:
    """Each planted defect against each claim that its subject makes, on the problems of the catalogue.

    A claim is tried on the quick problems until it turns red. Where no claim does, all are tried on all problems.

    Args:
        jobs: number of processes.
        seed: of the problems.
        ids: of the defects; all by default, those without a structure included.
    """
    with one_thread():
        table = _DefectTable(seed)
        names = list(ids) if ids is not None else table.names()
        results = run_isolated(
            table.row, [[name] for name in names], jobs=jobs, limit=60.0, give_up=lambda name, why: Row(name, (), {}, why)
        )
        with closing(results) as pairs:
            found = dict(pairs)
    return [found[name] for name in names]


class _DefectTable:
    """Makes rows; problems and reference quantities are shared between them."""

    def __init__(self, seed: int) -> None:
        self.options = Options(seed=seed, limit=LIMIT)
        self.problems = ProblemSet(self.options)
        self.quantities = QuantityCache()
        for name in self.problems.names():
            self.problems.tags(name)

    def names(self) -> list[str]:
        """All defects, and again without a structure where that leaves the mistake as it is."""
        bare = [f"{id}{BARE}" for id, defect in BANK.items() if _bare(defect)]
        return [*BANK, *bare]

    def row(self, name: str) -> Row:
        """One defect against all claims."""
        defect = BANK[name.removesuffix(BARE)]
        subject = defect.make()
        if name.endswith(BARE):
            subject = replace(subject, structure="none")
        quantities = QuantityCache(defect.faulty_reference) if defect.shared else self.quantities
        executor = Executor(subject, self.options, self.problems, quantities=quantities, explain=False)
        by_claim: dict[str, list[Check]] = {}
        for check in plan(subject, self.options, self.problems):
            if CLAIMS[check.claim].made_by(subject):
                by_claim.setdefault(check.claim, []).append(check)
        caught = self._caught(executor, by_claim, quick=True) or self._caught(executor, by_claim, quick=False)
        return Row(name, tuple(by_claim), caught)

    def _caught(self, executor: Executor, by_claim: Mapping[str, Sequence[Check]], quick: bool) -> dict[str, str]:
        """The claims that turn red, each with the first problem on which it does."""
        caught = {}
        for claim, checks in by_claim.items():
            tried = [check for check in checks if check.problem in self.problems.quick]
            if not quick:
                tried = [check for check in checks if check not in tried]
            elif not tried:
                tried = list(checks[:1])
            record = next((record for record in map(executor.run, tried) if record.red), None)
            if record is not None:
                caught[claim] = record.problem
        return caught


def _bare(defect: Defect) -> bool:
    """Whether the subject is wrong by its matrix alone, and declares a dense one."""
    if defect.matrix is None or defect.shared or defect.fatal:
        return False
    subject = defect.make()
    return subject.structure == "dense" and not subject.drawn and subject.solve is None and not subject.claims


def needed(rows: Sequence[Row]) -> dict[str, list[str]]:
    """For each claim the defects that it catches and no claim of lower cost does."""
    found: dict[str, list[str]] = {id: [] for id in CLAIMS}
    for row in rows:
        costs = {id: CLAIMS[id].cost for id in row.caught}
        for id, cost in costs.items():
            if cost == min(costs.values()):
                found[id].append(row.defect)
    return found


def complaints(rows: Sequence[Row]) -> list[str]:
    """What is wrong with the kit: defects that nothing sees, claims that nothing needs."""
    unseen = [
        f"{row.defect} is not seen by any of {len(row.made)} claims"
        for row in rows
        if not row.seen and not row.defect.endswith(BARE) and row.defect not in NOTED
    ]
    idle = [f"{id} catches no planted defect that a cheaper claim does not" for id, own in needed(rows).items() if not own]
    return unseen + [text for text in idle if text.split()[0] not in KEPT]


def cleared(
    seeds: Sequence[int], dtypes: Sequence[str] = ("float64", "float32"), quick: bool = False, jobs: int = 1
) -> Iterator[tuple[int, str, str, int, tuple[Record, ...]]]:
    """Every correct subject on every seed and in every precision.

    Args:
        seeds: of problems and draws.
        dtypes: precisions.
        quick: the quick problems alone.
        jobs: number of processes.

    Yields:
        Seed, dtype, name of the subject, number of checks and those that are red, as they come.
    """
    subjects = correct_subjects()
    cells = [[(seed, dtype, name) for name in subjects] for seed in seeds for dtype in dtypes]
    shared: dict[tuple[int, str], tuple[ProblemSet, QuantityCache]] = {}

    def run(cell: tuple[int, str, str]) -> tuple[int, tuple[Record, ...]]:
        seed, dtype, name = cell
        options = Options(seed=seed, dtype=dtype, quick=quick)
        if (seed, dtype) not in shared:
            shared.clear()
            shared[seed, dtype] = ProblemSet(options), QuantityCache()
        problems, quantities = shared[seed, dtype]
        executor = Executor(subjects[name], options, problems, quantities=quantities, explain=False)
        records = [executor.run(check) for check in plan(subjects[name], options, problems)]
        executed = [record for record in records if not record.empty]
        return len(executed), tuple(record for record in executed if record.red)

    def given_up(cell: tuple[int, str, str], reason: str) -> tuple[int, tuple[Record, ...]]:
        return 1, (Record(cell[2], "*", "*", cell[1], seed=cell[0], verdict="error", reason=reason),)

    with one_thread(), closing(run_isolated(run, cells, jobs=jobs, limit=300.0, give_up=given_up)) as results:
        for (seed, dtype, name), (count, red) in results:
            yield seed, dtype, name, count, red
