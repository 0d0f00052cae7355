"""The checks of subjects as cells of a sweep: some problems of a subject each."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from fishergauge.reports.conformance_lookup import Known
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.sent_subject import files_digest, received
from fishergauge.suites.execution import Executor
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import record_of
from fishergauge.suites.selection import Check, grouped
from fishergauge.suites.workers import run_isolated

FUNCTION = "fishergauge.reports.sweep.cells_of_conformance:records_of"
PROBLEMS = 8
"""How many problems a cell has: enough that their checks take longer than what each cell costs beside them."""


def sweep_cells(known: Known, options: ConformanceOptions, apart: bool) -> list[SweepCell]:
    """The cells of a subject. Each has costly problems and cheap ones.

    Args:
        known: the subject.
        options: of the run.
        apart: whether the user has several subjects, which are kept in processes of their own.
    """
    groups = grouped(known.checks)
    count = -(-len(groups) // PROBLEMS)
    cells = []
    for number in range(count):
        part = groups[number::count]
        cells.append(
            make_cell(
                FUNCTION,
                f"{known.name}, part {number + 1} of {count}",
                group=known.spec if apart else "",
                checks=json.dumps([[own[0].problem, [check.claim for check in own]] for own in part], separators=(",", ":")),
                dtype=options.dtype,
                device=options.device,
                seed=options.seed,
                limit=float(options.limit),
                problem_files=json.dumps(options.problem_files),
                problems=files_digest(options.problem_files),
                **known.sent.settings,
            )
        )
    return cells


def records_of(
    subject: str,
    file: str,
    sources: str,
    checks: str,
    dtype: str,
    device: str,
    seed: int,
    limit: float,
    problem_files: str,
    problems: str,
) -> list[dict[str, Any]]:
    """Make the checks of a cell, each in a forked process, which the subject may crash.

    Args:
        subject: as typed where the sweep was begun.
        file: digest of its file there.
        sources: digest of all that it is made of there.
        checks: problems with the ids of their claims, as JSON.
        dtype: of the checks.
        device: of the checks.
        seed: of the checks.
        limit: seconds that one call of the subject may take.
        problem_files: files with problems of the user, as JSON.
        problems: digest of these files where the sweep was begun.

    Returns:
        The records as JSON has them, before expected failures are applied.

    Raises:
        SubjectError: the subject cannot be loaded, or is another one here.
        RuntimeError: the files of the problems are others here.
    """
    options = ConformanceOptions(
        dtype=dtype, device=device, seed=seed, limit=limit, problem_files=tuple(json.loads(problem_files))
    )
    if files_digest(options.problem_files) != problems:
        raise RuntimeError(
            f"{', '.join(options.problem_files)}: not as where the sweep was begun; copy them to all machines of the sweep"
        )
    executor = Executor(received(subject, file), options.of_suites(), command=options.command_of(subject))
    groups = [[Check(claim, problem, dtype, device, seed) for claim in claims] for problem, claims in json.loads(checks)]
    results = run_isolated(executor.run, groups, jobs=1, limit=limit, give_up=executor.given_up)
    with closing(results) as pairs:
        found = dict(pairs)
    return [jsonable(found[check].as_dict()) for group in groups for check in group]


def read(results: Sequence[Sequence[Any]], known: Known) -> list[Record]:
    """The records of all cells of a subject, in the order of its plan.

    Args:
        results: of their lines.
        known: the subject.
    """
    found = [record_of(content, known.name) for result in results for content in result]
    by_check = {(record.claim, record.problem): record for record in found}
    return [by_check[check.claim, check.problem] for check in known.checks]
