"""The engine that computes cells: timed ones alone, the others on several processes."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Experiment
from fishergauge.reports.extras import require
from fishergauge.suites.one_thread import one_thread

Result = TypeVar("Result")

TIMED = frozenset({"baseline", "timed"})  # cells of these protocols measure time and need the machine for themselves


@dataclass(frozen=True)
class Computed:
    """A cell that was tried: its record, or the error that ended it with its traceback."""

    cell: Cell
    seconds: float
    record: Record | None
    error: str = ""
    trace: str = ""


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute(cells: Sequence[Cell], experiments: Mapping[str, Experiment], device: str, jobs: int) -> Iterator[Computed]:
    """Compute cells: first the timed ones, one after the other, then the rest in the order in which they end.

    Every cell runs on one thread, so that its figures do not depend on how many run beside it.

    Args:
        cells: what to compute.
        experiments: by name; sent to the processes.
        device: where to compute; on a CUDA device all cells share this process.
        jobs: number of processes, one for none beside this.

    Yields:
        Each cell once, failed ones included; also those of a process that died.
    """
    timed = [cell for cell in cells if cell.protocol in TIMED]
    rest = [cell for cell in cells if cell.protocol not in TIMED]
    if jobs == 1 or torch.device(device).type != "cpu" or len(rest) < 2:
        for cell in timed + rest:
            yield _run(cell, experiments[cell.experiment], device)
        return
    for cell in timed:
        yield _run(cell, experiments[cell.experiment], device)
    joblib = require("joblib")
    unfinished = dict.fromkeys(rest)
    tasks = (joblib.delayed(_run)(cell, experiments[cell.experiment], device) for cell in rest)
    try:
        for computed in joblib.Parallel(n_jobs=min(jobs, len(rest)), return_as="generator_unordered")(tasks):
            del unfinished[computed.cell]
            yield computed
    except Exception as error:  # a process that died takes its cell with it, not the finished ones
        for cell in unfinished:
            yield Computed(cell, 0.0, None, repr(error), traceback.format_exc())


def in_parallel(function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int) -> list[Result]:
    """The results of a function for several tuples of arguments, in their order, on ``jobs`` processes."""
    if jobs == 1 or len(tasks) < 2:
        return [function(*task) for task in tasks]
    joblib = require("joblib")
    results: list[Result] = joblib.Parallel(n_jobs=min(jobs, len(tasks)))(joblib.delayed(function)(*task) for task in tasks)
    return results


def _run(cell: Cell, experiment: Experiment, device: str) -> Computed:
    """Compute one cell, in whichever process this is."""
    start = time.perf_counter()
    with one_thread():
        try:
            record = experiment.run(cell, device)
        except Exception as error:
            return Computed(cell, time.perf_counter() - start, None, repr(error), traceback.format_exc())
    return Computed(cell, time.perf_counter() - start, record)
