"""One case: its result is verified, and the call handed to pytest-benchmark."""

import math
import os
import statistics
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from fishergauge.reference import Problem, UndefinedError, UnsupportedError
from fishergauge.suites.benchmarks import cases, limits, verification
from fishergauge.suites.benchmarks.clocks import Clock, Event, clock_of, synchronized_now
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.benchmarks.passes import count_task
from fishergauge.suites.benchmarks.stopwatch import MOST, warmed
from fishergauge.suites.benchmarks.theory import necessary_work
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.untouched import differences, problem_state

WARM_SECONDS = 0.1


class Measured:
    """A case: called once, it verifies the result and times it if it is right.

    Group and timer are set in one place, as markers of pytest-benchmark do not merge.

    Args:
        request: of the test.
        task: as text.
        implementation: its name.
        problem: its name.
        precision: ``"float64"`` or ``"float32"``.
        device: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self, request: pytest.FixtureRequest, task: str, implementation: str, problem: str, precision: str, device: str
    ) -> None:
        self.request = request
        self.task, self.implementation, self.problem = task, implementation, problem
        self.precision, self.device = precision, device

    def __call__(self) -> None:
        """Fail if the result is wrong, skip if there is nothing to measure, otherwise time it."""
        if torch.device(self.device).type == "cuda" and torch.cuda.device_count() == 0:
            pytest.skip("not measured: no device")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of libraries, which a strict project turns into errors
            self._run(self.request.config, clock_of(self.device))

    def _run(self, config: pytest.Config, clock: Clock) -> None:
        chosen = cases.chosen_by(config)[self.task, self.implementation]
        original = cases.made_problem(self.problem, self.precision, self.device)
        problem = fresh_copy(original)
        call, outcome = _verified(chosen, original, problem, clock)
        _leave_untimed(config, "verified" if outcome["verified"] else "not compared")
        if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
            self._benchmark(clock)(call)
            return
        counted = _counted(chosen, problem, call, self.device)
        rounds = _rounds(config, warmed(call, clock, WARM_SECONDS))
        benchmark = self._benchmark(clock)
        events = timed(benchmark, call, clock, rounds)
        benchmark.extra_info.update(_finite({**outcome, **counted, "event_seconds": events}))

    def _benchmark(self, clock: Clock) -> Any:
        """The fixture of pytest-benchmark with our timer, group and name."""
        node = self.request.node
        group = f"{self.task} on {self.problem} ({self.precision}, {self.device})"
        node.add_marker(pytest.mark.benchmark(group=group, timer=synchronized_now(clock), disable_gc=True), append=False)
        benchmark = self.request.getfixturevalue("benchmark")
        # Runs are compared by this name; that of the node depends on the folder from which pytest was started.
        benchmark.fullname = f"{node.path.name}::{node.name}"
        return benchmark


def timed(benchmark: Any, call: Call, clock: Clock, rounds: int) -> float | None:
    """Hand a call to pytest-benchmark.

    On the CPU it is calibrated as the options of pytest-benchmark say. On a device whose work is marked by events each
    round is one call with a cold cache and a fresh pair of events: a timer of events alone would never end its calibration.

    Args:
        benchmark: the fixture of pytest-benchmark, whose timer waits for the device.
        call: what is timed.
        clock: of the device.
        rounds: on a device with events.

    Returns:
        The median time between the events, in seconds; None on the CPU.
    """
    if clock.event() is None:
        benchmark(call)
        return None
    events: list[Event] = []

    def prepare() -> None:
        event = clock.event()
        assert event is not None
        events.append(event)
        clock.flush()

    def marked() -> object:
        events[-1].start()
        result = call()
        events[-1].stop()
        return result

    benchmark.pedantic(marked, setup=prepare, rounds=rounds)
    clock.synchronize()
    return statistics.median(event.seconds() for event in events[:rounds])


def _verified(implementation: Implementation, original: Problem, problem: Problem, clock: Clock) -> tuple[Call, dict[str, Any]]:
    """The prepared call and the outcome of the comparison; fails if the result is wrong, skips if the problem is refused."""
    _ = problem.inputs, problem.targets  # kept now: made inside a transform of torch.func they would end with it
    before = problem_state(problem)
    if reason := implementation.missing or implementation.refuses(problem):
        pytest.skip(f"not measured: {reason}")
    try:
        call = implementation.prepare(problem)
        result = call()
        clock.synchronize()
    except (NotImplementedError, UnsupportedError, UndefinedError) as error:
        pytest.skip(f"not measured: {error}")
    who = f"{implementation.name} at {implementation.task} on {problem.name}"
    if changed := differences(before, problem_state(problem)):
        pytest.fail(f"wrong, and not timed: {who} left changed: {', '.join(changed)}", pytrace=False)
    found = verification.verify(implementation, original, result)
    if found.verified is False:
        numbers = f"{found.deviation:.3g} > {found.bound:.3g}, against " if found.deviation is not None and found.bound else ""
        pytest.fail(f"wrong, and not timed: {who}: {numbers}{found.against}", pytrace=False)
    return call, {"implementation": implementation.name, "kind": implementation.kind, **found._asdict()}


def _leave_untimed(config: pytest.Config, outcome: str) -> None:
    """Skip what has been verified, if nothing is to be timed."""
    if not config.pluginmanager.has_plugin("benchmark"):
        pytest.skip(f"{outcome}, not timed: pytest-benchmark is not there; pip install 'fishergauge[bench]'")
    if "PYTEST_XDIST_WORKER" in os.environ and not config.getoption("benchmark_disable"):
        pytest.skip(f"{outcome}, not timed: benchmarks run in one process; leave out -n of pytest-xdist")
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        pytest.skip(f"{outcome}, not timed: --benchmark-skip")


def _counted(implementation: Implementation, problem: Problem, call: Call, device: str) -> dict[str, Any]:
    """Counted cost and the limit that the machine sets, by untimed calls."""
    work = necessary_work(implementation.task, problem)
    least = None if work is None else limits.limit_seconds(work.flops, work.bytes, limits.measure_limits(problem.dtype, device))
    counted = count_task(implementation, problem, call)  # first, as fishergauge bench does: the order may matter to caches
    return {
        "peak_bytes": peak_bytes(call, device),
        **counted._asdict(),
        "limit_flops": None if work is None else work.flops,
        "limit_bytes": None if work is None else work.bytes,
        "limit_seconds": least,
    }


def _rounds(config: pytest.Config, estimate: float) -> int:
    """How many rounds fit into the time that pytest-benchmark is given, and as many as it asks for at least."""
    fitting = int(float(config.getoption("benchmark_max_time")) / estimate) if estimate > 0 else MOST
    return max(int(config.getoption("benchmark_min_rounds")), min(MOST, fitting))


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON does not know."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()}
