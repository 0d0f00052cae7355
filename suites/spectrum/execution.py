"""The spectrum measured: cells of all models, data sets, precisions and families."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import torch

from fishergauge.reference import FAMILIES, Problem
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import approximations
from fishergauge.suites.spectrum.cell import Cell, measured
from fishergauge.suites.spectrum.models import MODELS
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.spectrum.subjects import as_approximation
from fishergauge.suites.subject import Subject
from fishergauge.suites.workers import run_isolated

TABLE = 100.0
"""The condition number of the table."""
KAPPAS = tuple(10.0**k for k in range(1, 13))
QUICK_KAPPAS = (10.0, 1e4, 1e7, 1e10)
SHOWN = ("scaling", "kronecker")
"""The families in which approximations that are not invariant are followed along kappa as well, on softmax regression."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        models: out of :data:`~fishergauge.suites.spectrum.models.MODELS`.
        data: names of data sets.
        dtypes: ``float64``, ``float32``.
        families: of reparametrizations.
        kappas: condition numbers that are gone through, ascending.
        approximations: names out of the catalogue.
        subjects: measured beside them.
        limit: seconds that one call of a subject may take.
        seed: of the draws of a subject.
    """

    models: Sequence[str] = tuple(MODELS)
    data: Sequence[str] = ("synthetic",)
    dtypes: Sequence[str] = ("float64", "float32")
    families: Sequence[str] = tuple(FAMILIES)
    kappas: Sequence[float] = KAPPAS
    approximations: Sequence[str] = tuple(approximations())
    subjects: Sequence[Subject] = ()
    limit: float = 10.0
    seed: int = 0

    def groups(self) -> list[list[Cell]]:
        """The cells, those of a problem together, the most costly problems first."""
        costly = sorted(self.models, key=lambda name: MODELS[name].subset is not None)
        return [
            [Cell(model, data, dtype, family, who) for who in self._who() for family in self.families]
            for model in costly
            for data in self.data
            for dtype in self.dtypes
        ]

    def cells(self) -> list[Cell]:
        """All cells in the order of the options; the catalogue before the subjects."""
        return [
            Cell(model, data, dtype, family, who)
            for model in self.models
            for data in self.data
            for dtype in self.dtypes
            for family in self.families
            for who in self._who()
        ]

    def _who(self) -> list[str]:
        """The catalogue, an empty name, if there is something of it to be measured, and the subjects."""
        return [*([""] if self.approximations else []), *(subject.name for subject in self.subjects)]


class Executor:
    """Executes cells in one process; what belongs to a problem is computed once.

    Args:
        plan: what is measured.
        problem_of: the problem of a model, a data set and a dtype.
    """

    def __init__(self, plan: Plan, problem_of: Callable[[str, str, torch.dtype], Problem]) -> None:
        self.plan = plan
        self.problem_of = problem_of
        self._origins: dict[tuple[str, str, str], Origin] = {}
        self._chosen: dict[str, list[Approximation]] = {}

    def contained(self, cell: Cell) -> list[Row]:
        """The rows of a cell on one thread; those of a subject in a process of its own, which it may take with it."""
        with one_thread():
            if not cell.subject:
                return self.rows(cell)
            with suppress(Exception):  # what is known before the process is forked is known in it; it raises there as well
                _ = self._origin(cell).frame
            results = run_isolated(self.rows, [[cell]], jobs=1, limit=self.plan.limit, give_up=self.given_up)
            with closing(results) as pairs:
                return [row for _, rows in pairs for row in rows]

    def rows(self, cell: Cell) -> list[Row]:
        """The rows of a cell, in this process."""
        origin = self._origin(cell)
        chosen = self._approximations(cell, origin)
        to_the_end = cell.family in SHOWN and cell.model.startswith("softmax")
        return list(measured(cell, origin, chosen, self.plan.kappas, TABLE, to_the_end=to_the_end))

    def given_up(self, cell: Cell, reason: str) -> list[Row]:
        """The rows of a cell that could not be measured."""
        return given_up(self.plan, cell, reason)

    def _origin(self, cell: Cell) -> Origin:
        key = cell[:3]
        if key not in self._origins:  # one at a time: it holds data and matrices
            self._origins = {key: Origin(self.problem_of(cell.model, cell.data, getattr(torch, cell.dtype)))}
            self._chosen = {}
        return self._origins[key]

    def _approximations(self, cell: Cell, origin: Origin) -> list[Approximation]:
        key = cell.subject
        if key not in self._chosen:
            if cell.subject:
                subject = next(one for one in self.plan.subjects if one.name == cell.subject)
                self._chosen[key] = [as_approximation(subject, origin.problem, self.plan.limit, self.plan.seed)]
            else:
                catalogue: Mapping[str, Approximation] = approximations()
                self._chosen[key] = [catalogue[name] for name in self.plan.approximations]
        return self._chosen[key]


def given_up(plan: Plan, cell: Cell, reason: str) -> list[Row]:
    """The rows of a cell whose process ended, that did not react, or that failed.

    Args:
        plan: that it belongs to.
        cell: of the plan.
        reason: for people.
    """
    return [
        Row(name, *cell[:4], kappa=TABLE, measure="outputs", predicted="unknown", verdict="error", reason=reason)
        for name in ([cell.subject] if cell.subject else plan.approximations)
    ]


def breaking(rows: Sequence[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """For each approximation and family predicted to be invariant: the last row that holds, and the first that does not.

    Args:
        rows: of a spectrum.

    Yields:
        Pairs; the first is None where no condition number holds, the second where nothing breaks up to the largest one.
    """
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.measure == "outputs" and row.predicted == "invariant" and FAMILIES[row.family].conditioned:
            lines.setdefault((row.model, row.data, row.dtype, row.family, row.approximation), []).append(row)
    for line in lines.values():
        ordered = sorted(line, key=lambda row: row.kappa)
        broken = next((row for row in ordered if row.verdict != "holds"), None)
        held = [row for row in ordered if row.verdict == "holds" and (broken is None or row.kappa < broken.kappa)]
        yield (held[-1] if held else None), broken
