"""The cases of ``fishergauge bench``, and how its costs grow, as cells of a sweep."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from fishergauge.reports.bench_plan import BenchPlan, Case, installed
from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.restored import restored
from fishergauge.reports.sweep.sent_subject import received
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.measurement import measure
from fishergauge.suites.benchmarks.problems import BENCHES
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.scaling import ScalingRow, measure_scaling
from fishergauge.suites.jsonable import jsonable

CASE = "fishergauge.reports.sweep.cells_of_bench:records_of"
GROWTH = "fishergauge.reports.sweep.cells_of_bench:rows_of"


def sweep_cell(case: Case, plan: BenchPlan, quick: bool, rounds: int | None, time: bool) -> SweepCell:
    """What is sent to the process that measures a case. If it is timed, it needs its device for itself.

    Args:
        case: of the plan.
        plan: of the run.
        quick: few rounds.
        rounds: of timing; those of the stopwatch by default.
        time: whether anything is timed.
    """
    return make_cell(
        CASE,
        str(case),
        alone=plan.device if time else "",
        bench=case.bench.name,
        dtype=case.dtype,
        device=plan.device,
        quick=quick,
        rounds=rounds,
        time=time,
        threads=torch.get_num_threads(),
        **_of(case.implementations, plan),
    )


def growth_cell(one: Implementation, plan: BenchPlan, quick: bool) -> SweepCell:
    """What is sent to the process that counts an implementation on problems of growing size.

    Args:
        one: the implementation.
        plan: of the run.
        quick: smaller problems.
    """
    return make_cell(GROWTH, f"growth of {one.name} {one.task}", quick=quick, **_of([one], plan))


def records_of(
    bench: str, dtype: str, device: str, quick: bool, rounds: int | None, time: bool, threads: int, **who: str
) -> list[dict[str, Any]]:
    """Measure a case on as many threads as where the sweep was begun.

    Args:
        bench: the problem.
        dtype: of the problem.
        device: that computes.
        quick: few rounds.
        rounds: of timing.
        time: whether anything is timed.
        threads: of torch.
        who: the implementations, as :func:`sweep_cell` has put them into the settings.

    Returns:
        The records as JSON has them.
    """
    chosen, before = _implementations(**who), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made = measure(chosen, [BENCHES[bench]], [dtype], device, quick=quick, rounds=rounds, progress=None, time=time)
    finally:
        torch.set_num_threads(before)
    return [jsonable(asdict(record)) for record in made]


def rows_of(quick: bool, **who: str) -> list[dict[str, Any]]:
    """Count an implementation on problems of growing size.

    Args:
        quick: smaller problems.
        who: the implementation, as :func:`growth_cell` has put it into the settings.

    Returns:
        The rows as JSON has them.
    """
    return [jsonable(asdict(row)) for row in measure_scaling(_implementations(**who), quick=quick)]


def read_records(result: Sequence[Mapping[str, Any]]) -> list[BenchRecord]:
    """The records of a finished case.

    Args:
        result: of its line.
    """
    return [BenchRecord(**restored(content)) for content in result]


def read_rows(result: Sequence[Mapping[str, Any]]) -> list[ScalingRow]:
    """The rows of an implementation that was counted.

    Args:
        result: of its line.
    """
    lists = ("sizes", "costs")
    return [ScalingRow(**{**restored(content), **{name: tuple(content[name]) for name in lists}}) for content in result]


def _of(chosen: Sequence[Implementation], plan: BenchPlan) -> dict[str, str]:
    """Implementations of one task by name, with the subjects among them."""
    sent = plan.sent if any(one.kind == "subject" for one in chosen) else ()
    return {
        "task": str(chosen[0].task),
        "implementations": json.dumps([[one.name, one.kind] for one in chosen]),
        "subjects": json.dumps([[one.spec, one.file] for one in sent]),
        "sources": sent[0].sources if sent else "",
    }


def _implementations(task: str, implementations: str, subjects: str, sources: str) -> list[Implementation]:
    """The implementations where they are measured.

    Raises:
        RuntimeError: one of them is not there.
    """
    named = [tuple(pair) for pair in json.loads(implementations)]
    loaded = [received(spec, file) for spec, file in json.loads(subjects)]
    kinds = tuple(dict.fromkeys(kind for _, kind in named))
    found = {(one.name, one.kind): one for one in installed(kinds, loaded) if str(one.task) == task}
    if absent := [name for name, kind in named if (name, kind) not in found]:
        raise RuntimeError(f"{', '.join(absent)}: not installed here; install the same on every machine of the sweep")
    return [found[name, kind] for name, kind in named]
