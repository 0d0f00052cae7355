"""The cells of ``fishergauge spectrum`` as cells of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import torch

from fishergauge.reference import Problem
from fishergauge.reports.data import load
from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.restored import restored
from fishergauge.reports.sweep.sent_subject import Sent, received
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.spectrum.cell import Cell
from fishergauge.suites.spectrum.execution import Executor, Plan
from fishergauge.suites.spectrum.models import spectrum_problem
from fishergauge.suites.spectrum.row import Row

FUNCTION = "fishergauge.reports.sweep.cells_of_spectrum:rows_of"


def sweep_cell(cell: Cell, plan: Plan, sent: Mapping[str, Sent]) -> SweepCell:
    """What is sent to the process that measures a cell; of the plan it has what its rows depend on.

    Args:
        cell: of the plan.
        plan: of the run.
        sent: the subjects by name.
    """
    place = {"model": cell.model, "data": cell.data, "dtype": cell.dtype, "family": cell.family}
    kappas = ",".join(map(repr, plan.kappas))
    label = f"{cell.subject or 'catalogue'} in {cell.model}, {cell.data}, {cell.dtype}, {cell.family}"
    if not cell.subject:
        return make_cell(FUNCTION, label, kappas=kappas, approximations=",".join(plan.approximations), **place)
    subject = sent[cell.subject]
    limit = float(plan.limit)
    return make_cell(FUNCTION, label, kappas=kappas, limit=limit, seed=plan.seed, **place, **subject.settings)


def rows_of(model: str, data: str, dtype: str, family: str, **plan: Any) -> list[dict[str, Any]]:
    """Measure a cell, in whichever process this is.

    Args:
        model: of the cell.
        data: of the cell.
        dtype: of the cell.
        family: of the cell.
        plan: what else :func:`sweep_cell` has put into the settings.

    Returns:
        The rows as JSON has them.
    """
    executor = _executor(**plan)
    name = "".join(subject.name for subject in executor.plan.subjects)
    return [jsonable(asdict(row)) for row in executor.contained(Cell(model, data, dtype, family, name))]


def read(result: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of a finished cell.

    Args:
        result: of its line.
    """
    return [Row(**restored(row)) for row in result]


def problem_of(model: str, data: str, dtype: torch.dtype) -> Problem:
    """The problem of a model on a data set.

    Args:
        model: its name.
        data: name of the data set.
        dtype: of parameters and inputs.
    """
    found = load(data)
    return spectrum_problem(model, found.inputs, found.targets, found.num_classes, dtype, data)


@lru_cache(maxsize=1)
def _executor(
    kappas: str,
    approximations: str = "",
    subject: str = "",
    file: str = "",
    sources: str = "",
    limit: float = 10.0,
    seed: int = 0,
) -> Executor:
    """The executor of cells that follow one another; what belongs to their problem is computed once in a process."""
    plan = Plan(
        kappas=tuple(map(float, kappas.split(","))),
        approximations=tuple(approximations.split(",")) if approximations else (),
        subjects=(received(subject, file),) if subject else (),
        limit=limit,
        seed=seed,
    )
    return Executor(plan, problem_of)
