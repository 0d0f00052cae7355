"""Measuring a plan case by case: records are kept as they come, and an interrupted run can go on."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fishergauge.reports.bench_plan import BenchPlan, Case
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.machine import differences, machine, versions
from fishergauge.suites.benchmarks.measurement import frozen, measure
from fishergauge.suites.benchmarks.record import BenchRecord, Key, line, read_records
from fishergauge.suites.devices import devices

Progress = Callable[[int, int, object], None]


class InterruptedRunError(Exception):
    """A run was interrupted; what was measured is in the file."""

    def __init__(self, records: Sequence[BenchRecord]) -> None:
        super().__init__("interrupted")
        self.records = list(records)


@dataclass(frozen=True)
class Manner:
    """How a plan is measured.

    Args:
        quick: few rounds.
        rounds: of timing; those of the stopwatch by default.
        time: whether anything is timed.
    """

    quick: bool = False
    rounds: int | None = None
    time: bool = True


def measure_plan(
    plan: BenchPlan,
    manner: Manner,
    path: Path,
    progress: Progress | None = None,
    kept: Sequence[BenchRecord] = (),
) -> list[BenchRecord]:
    """Measure all cases of a plan; every case is written to a file when it is finished.

    Args:
        plan: what is measured.
        manner: how.
        path: of the file, in JSON Lines; it is begun anew with the records kept.
        progress: is told the number of finished cases, of all cases, and the current one.
        kept: records of an interrupted run, which are not measured again.

    Raises:
        InterruptedRunError: Ctrl-C was pressed; it has the records so far.
    """
    records = list(kept)
    path.write_text("".join(line(record) + "\n" for record in records), encoding="utf-8")
    absent = missing_device(plan.device)
    done = {record.key for record in records}
    cases = list(plan.cases())
    with frozen():
        for number, case in enumerate(cases):
            if progress is not None:
                progress(number, len(cases), case)
            if all(key in done for key in keys(case, plan.device)):
                continue
            try:
                made = not_measured(case, plan.device, absent) if absent else _measured(case, plan.device, manner)
            except KeyboardInterrupt:
                raise InterruptedRunError(records) from None
            made = [record for record in made if record.key not in done]
            with path.open("a", encoding="utf-8") as file:
                file.writelines(line(record) + "\n" for record in made)
            records += made
    return records


def _measured(case: Case, device: str, manner: Manner) -> list[BenchRecord]:
    return measure(
        case.implementations,
        [case.bench],
        [case.dtype],
        device,
        quick=manner.quick,
        rounds=manner.rounds,
        progress=None,
        time=manner.time,
    )


def keys(case: Case, device: str) -> list[Key]:
    """What the records of a case are compared by.

    Args:
        case: of a plan.
        device: on which it is measured.
    """
    task, bench = case.task, case.bench.name
    return [Key(one.name, task.quantity, task.operation, bench, case.dtype, device) for one in case.implementations]


def not_measured(case: Case, device: str, reason: str) -> list[BenchRecord]:
    """The records of a case that could not be measured at all: they stand in the tables rather than be missing.

    Args:
        case: of a plan.
        device: that was asked for.
        reason: for people.
    """
    kinds = [one.kind for one in case.implementations]
    return [
        BenchRecord(*key, kind=kind, reason=reason, versions=versions(), machine=_host())
        for key, kind in zip(keys(case, device), kinds, strict=True)
    ]


def _host() -> Mapping[str, str | int]:
    """The machine without its device."""
    return machine("cpu")


def missing_device(device: str) -> str:
    """Why nothing can be measured on a device, or nothing.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Example:
        >>> missing_device("cpu")
        ''
    """
    if device in devices():
        return ""
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = f", CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else ""
    return f"not measured: no device (torch {torch.__version__} was built with {build}{seen})"


def resumable(path: Path, plan: BenchPlan) -> list[BenchRecord]:
    """The records of an interrupted run that another one can go on from.

    Args:
        path: of its file.
        plan: of the run that goes on.

    Raises:
        RecordError: there is no such file, or it holds something else.
        UsageError: it was begun on another machine or with other versions.
    """
    found = read_records(path)
    here, current = machine(plan.device) if not missing_device(plan.device) else _host(), versions()
    for record in found:
        other = differences(record.machine, here)
        other += [
            f"{name} {record.versions.get(name)} and {current.get(name)}"
            for name in dict.fromkeys([*record.versions, *current])
            if record.versions.get(name) != current.get(name)
        ]
        if other:
            raise UsageError(
                f"--resume: {path} was begun under other circumstances ({'; '.join(other)}); leave --resume out to begin anew"
            )
    return [record for record in found if plan.asks_for(record)]
