"""Accuracy against cost measured: approximations and subjects on the problems, on several processes."""

import importlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from fishergauge.reports.accuracy_approximations import approximations
from fishergauge.reports.accuracy_front import with_fronts
from fishergauge.reports.accuracy_measurement import Exact, measured
from fishergauge.reports.accuracy_problems import PROBLEMS
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_subject import Examined
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.subject import Subject
from fishergauge.suites.workers import run_isolated


class Cell(NamedTuple):
    """What is measured at a time.

    Args:
        problem: its name.
        who: an approximation of the catalogue, or a subject.
    """

    problem: str
    who: str


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        problems: out of :data:`~fishergauge.reports.accuracy_problems.PROBLEMS`.
        approximations: names out of the catalogue.
        subjects: measured beside them.
        limit: seconds that one call of a subject may take.
        seed: of the draws of a subject.
        quick: whether it is the quick form.
    """

    problems: Sequence[str] = tuple(PROBLEMS)
    approximations: Sequence[str] = tuple(approximations())
    subjects: Sequence[Subject] = ()
    limit: float = 10.0
    seed: int = 0
    quick: bool = False

    def groups(self) -> list[list[Cell]]:
        """The cells, those of a problem together."""
        who = [*self.approximations, *(subject.name for subject in self.subjects)]
        return [[Cell(problem, name) for name in who] for problem in self.problems]


def measure_accuracy(plan: Plan, jobs: int = 1, progress: Callable[[int, int], None] | None = None) -> tuple[Row, ...]:
    """Measure what a plan asks for.

    Args:
        plan: what is measured.
        jobs: number of processes.
        progress: called with the number of cells done and of all.

    Returns:
        The rows, in the order of the plan, with the fronts of each problem.
    """
    executor = _Executor(plan)
    with one_thread():
        results = run_isolated(
            executor.row, plan.groups(), jobs=jobs, limit=plan.limit, give_up=executor.given_up, progress=progress
        )
        with closing(results) as pairs:
            found = dict(pairs)
    return tuple(
        row
        for cells in plan.groups()
        for row in with_fronts([found[cell][0] for cell in cells], max(found[cell][1] for cell in cells))
    )


class _Executor:
    """Executes cells in one process; what belongs to a problem is computed once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._catalogue = approximations()
        self._subjects = {subject.name: subject for subject in plan.subjects}
        self._exact: tuple[str, Exact] | None = None
        # torch.func imports it at its first derivative; imported here, the processes have it from the start
        importlib.import_module("torch._dynamo")

    def row(self, cell: Cell) -> tuple[Row, float]:
        """The row of a cell, and the distance that rounding explains."""
        if self._exact is None or self._exact[0] != cell.problem:  # one at a time: it holds matrices
            self._exact = cell.problem, Exact(PROBLEMS[cell.problem].build())
        exact = self._exact[1]
        if cell.who in self._subjects:
            row = Examined(self._subjects[cell.who], exact, self.plan.limit, self.plan.seed).row()
        else:
            row = measured(self._catalogue[cell.who], exact)
        return row, exact.rounding

    def given_up(self, cell: Cell, reason: str) -> tuple[Row, float]:
        """The row of a cell whose process ended or did not react."""
        known = self._catalogue.get(cell.who)
        label, kind = (known.label, known.kind) if known is not None else (cell.who, "subject")
        return Row(cell.problem, cell.who, label, kind, outcome="error", reason=reason), 0.0
