"""Measuring implementations of the same task side by side: verified, counted, and only then timed."""

import gc
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch

from fishergauge.reference import Problem, UndefinedError, UnsupportedError
from fishergauge.suites.benchmarks.clocks import Clock, clock_of
from fishergauge.suites.benchmarks.deadline import Expired, within
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.limits import limit_seconds, measure_limits
from fishergauge.suites.benchmarks.machine import machine, versions
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.benchmarks.passes import count_task
from fishergauge.suites.benchmarks.problems import Bench
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.stopwatch import time_interleaved
from fishergauge.suites.benchmarks.task import Task
from fishergauge.suites.benchmarks.theory import necessary_work
from fishergauge.suites.benchmarks.verification import verify
from fishergauge.suites.devices import devices
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.untouched import differences, problem_state

ROUNDS = 7
QUICK_ROUNDS = 3
WARM_SECONDS = 0.05
BUDGET_SECONDS = 3.0
SLOW = 1.5  # seconds of a call that is timed once
QUICK = 0.1  # of all three
LIMIT = 10.0
PATIENCE = 60.0
NO_DEVICE = "not measured: no device"
REFUSALS = (NotImplementedError, UnsupportedError, UndefinedError)

Progress = Callable[[int, int, object], None]
Figures = dict[str, Any]


@dataclass
class _Run:
    """One implementation on one problem, as far as it has come."""

    implementation: Implementation
    problem: Problem
    call: Call | None = None
    seconds: float = math.inf
    figures: Figures = field(default_factory=dict)


def measure(
    implementations: Sequence[Implementation],
    benches: Sequence[Bench],
    dtypes: Sequence[str | torch.dtype] = ("float64",),
    device: str = "cpu",
    *,
    quick: bool = False,
    rounds: int | None = None,
    progress: Progress | None = None,
    time: bool = True,
    limit: float = LIMIT,
    patience: float = PATIENCE,
) -> list[BenchRecord]:
    """Measure implementations task by task on problems.

    For each task and problem every implementation runs once and its result is verified; cost is counted and memory measured
    in calls of their own; then all implementations that are not wrong are timed in turn. Each has a copy of the problem.

    Args:
        implementations: those of one task are compared.
        benches: the problems.
        dtypes: ``"float64"`` or ``"float32"``.
        device: that computes.
        quick: few rounds, and a tenth of the time for them; a call that takes 0.15 s is timed once.
        rounds: of timing.
        progress: is told the number of finished cases, of all cases, and the task and the problem that follow.
        time: whether anything is timed.
        limit: seconds; an implementation whose first call takes longer is timed by that call alone, and neither its cost is
            counted nor its memory measured, which would take as long again. From 1.5 s on it is timed once more, and once.
        patience: seconds after which a first call is interrupted and given up.

    Returns:
        A record for each implementation and problem. Where it is wrong, refuses the problem or fails, the record says so
        and has no figures.

    Example:
        >>> from fishergauge.suites.benchmarks.problems import BENCHES
        >>> from fishergauge.suites.benchmarks.registry import implementations
        >>> chosen = implementations(["reference"], globs=["kfac/factors"])
        >>> [record.verified for record in measure(chosen, [BENCHES["softmax-small"]], time=False)]
        [True, True, True]
    """
    tasks = list(dict.fromkeys(each.task for each in implementations))
    cases = [(bench, _dtype(dtype), task) for bench in benches for dtype in dtypes for task in tasks]
    count = rounds if rounds is not None else QUICK_ROUNDS if quick else ROUNDS
    where: Figures = {"device": device, "versions": versions(), "machine": machine(device if _visible(device) else "cpu")}
    records: list[BenchRecord] = []
    with frozen():
        for number, (bench, dtype, task) in enumerate(cases):
            if progress is not None:
                progress(number, len(cases), f"{task} on {bench.name} ({_text(dtype)})")
            chosen = [each for each in implementations if each.task == task]
            if not _visible(device):
                records += [_record(each, bench, dtype, {**where, "reason": NO_DEVICE}) for each in chosen]
                continue
            with _quiet():
                found = _case(chosen, _made(bench, dtype, device), device, count if time else 0, quick, limit, patience)
            records += [_record(run.implementation, bench, dtype, where | run.figures) for run in found]
            del found
            gc.collect()
    return records


_FROZEN = False


@contextmanager
def frozen() -> Iterator[None]:
    """Take what there is out of the garbage collector's sight: modules need not be looked through between the cases.

    Within another one it does nothing, and costs no pass over everything.
    """
    global _FROZEN
    if _FROZEN:
        yield
        return
    gc.collect()
    gc.freeze()
    _FROZEN = True
    try:
        yield
    finally:
        _FROZEN = False
        gc.unfreeze()


@lru_cache(maxsize=1)
def _made(bench: Bench, dtype: torch.dtype, device: str) -> Problem:
    """The problem, kept while it is measured: what verification knows of it goes with it."""
    return bench.problem(dtype, device)


def _case(
    implementations: Sequence[Implementation],
    problem: Problem,
    device: str,
    rounds: int,
    quick: bool,
    limit: float,
    patience: float,
) -> list[_Run]:
    """All implementations of a task on a problem."""
    clock = clock_of(device)
    shared = {"sizes": _sizes(problem), **_limits(implementations[0].task, problem, device, rounds > 0)}
    runs = [_verified(each, problem, clock, patience) for each in implementations]
    for run in runs:
        if run.call is not None:
            run.figures |= shared
            if run.seconds <= limit or rounds == 0:  # without timing, nothing depends on time: a gate looks at the counts
                _count(run, device)
            else:
                run.figures["reason"] = f"neither counted nor its memory measured: a call takes more than {limit:g} s"
    if rounds > 0:
        _time(runs, clock, rounds, quick, limit)
    return runs


def _verified(implementation: Implementation, problem: Problem, clock: Clock, patience: float) -> _Run:
    """The first call of an implementation, and what verification says of its result."""
    own = fresh_copy(problem)
    _ = own.inputs, own.targets  # kept now: made inside a transform of torch.func they would end with it
    run = _Run(implementation, own)
    before = problem_state(own)
    try:
        if reason := implementation.missing or implementation.refuses(own):
            run.figures = {"reason": f"not measured: {reason}"}
            return run
        call, result, run.seconds = within(patience, partial(_first_call, implementation, own, clock))
        if changed := differences(before, problem_state(own)):
            run.figures = {"verified": False, "reason": f"left changed: {', '.join(changed)}"}
            return run
        found = verify(implementation, problem, result)
    except Expired:
        run.figures = {"reason": f"not measured: a call takes more than {patience:g} s"}
        return run
    except REFUSALS as error:
        run.figures = {"reason": f"not measured: {_said(error)}"}
        return run
    except Exception as error:
        run.figures = {"verified": False, "reason": f"error: {type(error).__name__}: {_said(error)}"}
        return run
    run.figures = found._asdict()
    if found.verified is None:
        run.figures |= {"against": "", "reason": found.against}
    if found.verified is False:
        run.figures["reason"] = "wrong, and not timed"
    else:
        run.call = call
    return run


def _first_call(implementation: Implementation, problem: Problem, clock: Clock) -> tuple[Call, Any, float]:
    """What is measured, the result of its first call, and the seconds of that call."""
    call = implementation.prepare(problem)
    clock.synchronize()
    start = clock.now()
    result = call()
    clock.synchronize()
    return call, result, clock.now() - start


def _count(run: _Run, device: str) -> None:
    """Operations, passes and memory, in calls of their own."""
    assert run.call is not None
    try:
        run.figures |= count_task(run.implementation, run.problem, run.call)._asdict()
        run.figures["peak_bytes"] = peak_bytes(run.call, device)
    except Exception as error:
        run.call = None
        run.figures |= {"verified": False, "reason": f"error in a later call: {type(error).__name__}: {_said(error)}"}


def _time(runs: Sequence[_Run], clock: Clock, rounds: int, quick: bool, limit: float) -> None:
    """Time what is not wrong, in turn."""
    share = QUICK if quick else 1.0
    calls: dict[str, Call] = {}
    slow: list[str] = []
    for run in runs:
        if run.call is None:
            continue
        if run.seconds > limit:
            run.figures |= {"median_seconds": run.seconds, "fastest_seconds": run.seconds, "rounds": 1}
            run.figures["reason"] = f"timed once, {run.figures['reason']}"
        else:
            calls[run.implementation.name] = run.call
            if run.seconds > share * SLOW:
                slow.append(run.implementation.name)
    warm, budget = share * WARM_SECONDS, share * BUDGET_SECONDS
    timings = time_interleaved(calls, clock, rounds=rounds, warm_seconds=warm, budget_seconds=budget, slow=slow)
    for run in runs:
        name = run.implementation.name
        if name in timings:
            one = timings[name]
            run.figures |= {"median_seconds": one.median_seconds, "fastest_seconds": one.fastest_seconds}
            run.figures |= {"event_seconds": one.event_seconds, "rounds": one.rounds}
        elif name in timings.failures and run.call is not None:
            run.figures |= {"verified": False, "reason": f"error while it was timed: {timings.failures[name]}"}


def _limits(task: Task, problem: Problem, device: str, time: bool) -> Figures:
    """What no implementation can avoid, and how long it takes here."""
    work = necessary_work(task, problem)
    if work is None:
        return {}
    figures: Figures = {"limit_flops": work.flops, "limit_bytes": work.bytes}
    if time:
        figures["limit_seconds"] = limit_seconds(work.flops, work.bytes, measure_limits(problem.dtype, device))
    return figures


def _sizes(problem: Problem) -> Mapping[str, int]:
    return {"N": problem.num_samples, "P": problem.num_parameters, "C": problem.outputs.shape[-1]}


def _record(implementation: Implementation, bench: Bench, dtype: torch.dtype, figures: Figures) -> BenchRecord:
    task = implementation.task
    names = (implementation.name, task.quantity, task.operation, bench.name, _text(dtype))
    return BenchRecord(*names, kind=implementation.kind, **figures)


def _visible(device: str) -> bool:
    return torch.device(device).type in devices()


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    assert isinstance(found, torch.dtype)
    return found


def _text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _said(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of others are no errors here, and what they draw from the global generator is put back."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        yield
