"""Times of several calls, taken in turn on the same machine."""

import gc
import statistics
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fishergauge.suites.benchmarks.clocks import Clock

Call = Callable[[], Any]
FEWEST = 3
MOST = 100


@dataclass(frozen=True)
class Timing:
    """How long a call takes.

    Args:
        median_seconds: of the synchronised wall clock: the official figure.
        fastest_seconds: the fastest round.
        rounds: how many were timed.
        event_seconds: median time between two events on the device; None on the CPU.
        seconds: of the wall clock, in the order of the rounds.
    """

    median_seconds: float
    fastest_seconds: float
    rounds: int
    event_seconds: float | None
    seconds: tuple[float, ...]


class Timings(dict[str, Timing]):
    """Timings by name, without the calls that raised.

    Args:
        timings: of the calls that did their work each time.
        failures: names of the others, with what they raised.
    """

    def __init__(self, timings: Mapping[str, Timing], failures: Mapping[str, str]) -> None:
        super().__init__(timings)
        self.failures = dict(failures)


def time_interleaved(
    calls: Mapping[str, Call],
    clock: Clock,
    *,
    rounds: int = 7,
    warm_seconds: float = 0.1,
    budget_seconds: float = 10.0,
    slow: Container[str] = (),
) -> Timings:
    """Time calls in turn, round by round, so that load and clock rates that drift meet all of them alike.

    Each call runs once cold and then until it is warm. In each round every call runs once, in an order that rotates; the
    device is idle and its cache is flushed before it starts, and the clock stops when the device has finished. Where a
    round is short there are more of them, up to 100 or as long as the warm-up lasted.

    Args:
        calls: what is timed, by name.
        clock: of the device, see :func:`~fishergauge.suites.benchmarks.clocks.clock_of`.
        rounds: at least so many, unless a call is too slow.
        warm_seconds: for how long each call runs before it is timed.
        budget_seconds: for all rounds of one call. A call that needs more gets fewer rounds, spread over all: three at
            least, and a single one where one call exceeds the budget.
        slow: names of calls that have run before and take long: they are not warmed up, and timed in one round.

    Returns:
        The timings of the calls that did not raise; ``failures`` says why the others are missing.

    Raises:
        ValueError: no round is asked for.

    Example:
        >>> from fishergauge.suites.benchmarks.clocks import clock_of
        >>> timings = time_interleaved({"sum": lambda: sum(range(9)), "wrong": lambda: 1 / 0}, clock_of("cpu"), warm_seconds=0)
        >>> timings["sum"].rounds, timings.failures
        (7, {'wrong': 'ZeroDivisionError: division by zero'})
    """
    if rounds < 1:
        raise ValueError(f"at least one round must be timed, not {rounds}")
    failures: dict[str, str] = {}
    estimates: dict[str, float] = {}
    for name, call in calls.items():
        if name in slow:
            continue
        try:
            estimates[name] = warmed(call, clock, warm_seconds)
        except Exception as error:
            failures[name] = _said(error)
    total = max(rounds, min(MOST, _quotient(warm_seconds * len(estimates), sum(estimates.values()))))
    planned = {name: _rounds(estimate, total, budget_seconds) for name, estimate in estimates.items()}
    planned |= {name: 1 for name in calls if name in slow}
    order = [name for name in calls if name in planned]
    taken: dict[str, list[tuple[float, float | None]]] = {name: [] for name in order}
    gc.collect()
    for index in range(total):
        for name in _rotated(order, index):
            if name in failures or not _takes_part(planned[name], index, total):
                continue
            try:
                taken[name].append(_timed(calls[name], clock))
            except Exception as error:
                failures[name] = _said(error)
    return Timings({name: _summary(taken[name]) for name in order if name not in failures}, failures)


def warmed(call: Call, clock: Clock, warm_seconds: float) -> float:
    """Run a call cold and then for a while.

    Args:
        call: not called again if it takes longer than ``warm_seconds``.
        clock: of the device.
        warm_seconds: for how long.

    Returns:
        The time of the last run, in seconds.
    """
    seconds, _ = _timed(call, clock)
    start = clock.now()
    while clock.now() - start < warm_seconds and seconds < warm_seconds:
        seconds, _ = _timed(call, clock)
    return seconds


def _timed(call: Call, clock: Clock) -> tuple[float, float | None]:
    """Wall time of one call on an idle device, and the time between two events around it."""
    event = clock.event()
    clock.flush()
    collecting = gc.isenabled()
    gc.disable()
    try:
        clock.synchronize()
        if event is not None:
            event.start()
        start = clock.now()
        result = call()
        if event is not None:
            event.stop()
        clock.synchronize()
        seconds = clock.now() - start
    finally:
        if collecting:
            gc.enable()
    del result  # released when the time is taken
    return seconds, None if event is None else event.seconds()


def _rounds(estimate: float, total: int, budget_seconds: float) -> int:
    """How many of all rounds a call takes part in."""
    if estimate > budget_seconds:
        return 1
    return min(total, max(FEWEST, _quotient(budget_seconds, estimate)))


def _takes_part(planned: int, index: int, total: int) -> bool:
    """Whether a call that runs in ``planned`` of ``total`` rounds, evenly spread, runs in this one."""
    return (index + 1) * planned // total > index * planned // total


def _quotient(whole: float, part: float) -> int:
    return int(whole / part) if part > 0 else MOST


def _rotated(names: Sequence[str], index: int) -> list[str]:
    shift = index % len(names) if names else 0
    return [*names[shift:], *names[:shift]]


def _summary(taken: Sequence[tuple[float, float | None]]) -> Timing:
    seconds = tuple(wall for wall, _ in taken)
    events = [event for _, event in taken if event is not None]
    return Timing(
        statistics.median(seconds), min(seconds), len(seconds), statistics.median(events) if events else None, seconds
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
