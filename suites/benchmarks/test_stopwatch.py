"""The stopwatch waits, flushes, takes turns and survives calls that raise; one that does not is noticed."""

import gc
import inspect
import sys
from collections import Counter
from itertools import pairwise
from types import ModuleType

import pytest

from fishergauge.suites.benchmarks import clocks, stopwatch
from fishergauge.suites.benchmarks.clocks import CpuClock
from fishergauge.suites.benchmarks.fake_cuda import FLUSH, LAUNCH, FakeCuda

DEVICE = "cuda:1"
SLACK = 10 * LAUNCH
HOST = 2e-4  # that a call computes on the CPU before it asks the device for work


def examine(watch: ModuleType, made: ModuleType = clocks, garbage: bool = True) -> None:
    """What every stopwatch must do on a device that computes while the program goes on."""
    torch = FakeCuda(DEVICE)
    clock = made.CudaClock(DEVICE, torch, torch.now)
    work = {"short": 0.001, "long": 0.02, "middle": 0.005}
    collecting: list[bool] = []

    def called(name: str) -> object:
        collecting.append(gc.isenabled())
        order.append(name)
        torch.host += HOST
        return torch.work(work[name])()

    order: list[str] = []
    timings = watch.time_interleaved({name: (lambda name=name: called(name)) for name in work}, clock, warm_seconds=0.0)
    assert list(timings) == list(work)
    assert not timings.failures
    for name, timing in timings.items():
        assert timing.rounds == len(timing.seconds) == 7
        assert timing.median_seconds == pytest.approx(HOST + work[name], abs=SLACK)
        assert timing.fastest_seconds == pytest.approx(HOST + work[name], abs=SLACK)
        assert timing.event_seconds == pytest.approx(HOST + work[name], abs=SLACK)
    assert order[3:] == ["short", "long", "middle", "long", "middle", "short", "middle", "short", "long"] * 2 + order[3:6]
    assert not any(collecting)
    assert gc.isenabled() == garbage
    assert len(torch.events) == 2 * len(order)
    assert all(event.reached is not None for event in torch.events)
    assert torch.log == ["flush", "synchronize", "mark", "call", "mark", "synchronize"] * len(order)


def examine_both(watch: ModuleType) -> None:
    """With garbage collection, and where the user has turned it off."""
    examine(watch)
    gc.disable()
    try:
        examine(watch, garbage=False)
    finally:
        gc.enable()


def altered(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """A copy of a module with one piece of its source replaced."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in {module.__name__}"
    copy = ModuleType(f"{module.__name__}_altered")
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    try:
        exec(compile(source.replace(right, wrong), "altered", "exec"), copy.__dict__)
    finally:
        del sys.modules[copy.__name__]
    return copy


def test_times_are_those_of_the_device_from_idle_to_finished_with_a_cold_cache() -> None:
    examine_both(stopwatch)


WAIT = "        clock.synchronize()\n"
START = "        if event is not None:\n            event.start()\n"
STOP = "        if event is not None:\n            event.stop()\n"
NOW = "        start = clock.now()\n"
CALL = "        result = call()\n"
GARBAGE = "    collecting = gc.isenabled()\n    gc.disable()\n    try:\n"
FLUSHED = "    clock.flush()\n"

WATCHES = {
    "no wait before the start": (WAIT + START, START),
    "no wait before the stop": (WAIT + "        seconds", "        seconds"),
    "no flush": (FLUSHED, ""),
    "the flush is timed": (NOW + CALL, NOW + "        clock.flush()\n" + CALL),
    "flushed after waiting": (FLUSHED + GARBAGE + WAIT, GARBAGE + WAIT + "        clock.flush()\n"),
    "the clock starts before the wait": (WAIT + START + NOW, NOW + WAIT + START),
    "the clock starts after the call": (NOW + CALL, CALL + NOW),
    "no mark at the start": (START, ""),
    "no mark at the end": (STOP, ""),
    "a mark after waiting": (STOP, WAIT + STOP),
    "the marks of the round before": (
        "    event = clock.event()",
        "    event = clock.__dict__.setdefault('kept', clock.event())",
    ),
    "an order that stays": ("    shift = index % len(names) if names else 0", "    shift = 0"),
    "collecting garbage": ("    gc.disable()\n", ""),
    "garbage is never collected again": ("        if collecting:\n            gc.enable()", "        pass"),
    "garbage is collected where it was not": ("        if collecting:\n            gc.enable()", "        gc.enable()"),
    "no cold call": ("            estimates[name] = warmed(call, clock, warm_seconds)", "            estimates[name] = 0.001"),
    "a round too few": ("    for index in range(total):", "    for index in range(total - 1):"),
    "the sum": ("statistics.median(seconds)", "sum(seconds)"),
    "the slowest": ("min(seconds)", "2 * max(seconds)"),
    "no events": ("statistics.median(events) if events else None", "None"),
}

CLOCKS = {
    "another device is waited for": ("self._cuda.synchronize(self.device)", "self._cuda.synchronize()"),
    "nothing is waited for": ("self._cuda.synchronize(self.device)", "pass"),
    "marks in another queue": ("self._first.record(self._stream)", "self._first.record()"),
    "an end in another queue": ("self._last.record(self._stream)", "self._last.record()"),
    "the queue of another device": ("cuda.current_stream(device)", "cuda.current_stream()"),
    "marks without time": ("cuda.Event(enable_timing=True), cuda", "cuda.Event(), cuda"),
    "milliseconds": ("self._last)) / 1000", "self._last))"),
    "the other way round": ("self._first.elapsed_time(self._last)", "self._last.elapsed_time(self._first)"),
    "one pair for all": (
        "        return CudaEvent(self._cuda, self.device)",
        "        return self.__dict__.setdefault('kept', CudaEvent(self._cuda, self.device))",
    ),
    "a buffer smaller than the cache": ("size = 2 * int(", "size = int(0.9 * "),
    "the cache of another device": ("get_device_properties(device)", "get_device_properties('cuda')"),
    "the cache stays": ("self._buffer.zero_()", "pass"),
    "a buffer on another device": ("dtype=module.int8, device=device", "dtype=module.int8, device='cuda'"),
    "the clock of the host alone": ("return self._now()", "return time.perf_counter()"),
}


@pytest.mark.parametrize("name", WATCHES)
def test_a_stopwatch_with_a_defect_is_noticed(name: str) -> None:
    watch = altered(stopwatch, *WATCHES[name])
    try:
        with pytest.raises((AssertionError, RuntimeError)):
            examine_both(watch)
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_with_a_defect_is_noticed(name: str) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        examine(stopwatch, altered(clocks, *CLOCKS[name]))


def slow(torch: FakeCuda, **seconds: float) -> dict[str, stopwatch.Call]:
    """Calls that take the device so long."""
    return {name: torch.work(time) for name, time in seconds.items()}


def test_slow_calls_get_fewer_rounds_and_never_none() -> None:
    torch = FakeCuda(DEVICE)
    clock = clocks.CudaClock(DEVICE, torch, torch.now)
    calls = slow(torch, fits=1.0, tight=2.0, slow=4.0, exceeds=11.0)
    timings = stopwatch.time_interleaved(calls, clock, warm_seconds=0.0, budget_seconds=10.0)
    assert {name: timing.rounds for name, timing in timings.items()} == {"fits": 7, "tight": 4, "slow": 3, "exceeds": 1}
    assert torch.log.count("call") == 7 + 4 + 3 + 1 + len(calls)


def test_calls_known_to_be_slow_run_once_and_the_others_as_ever() -> None:
    torch = FakeCuda(DEVICE)
    clock = clocks.CudaClock(DEVICE, torch, torch.now)
    calls = slow(torch, before=0.5, known=4.0, after=0.5)
    timings = stopwatch.time_interleaved(calls, clock, warm_seconds=0.0, slow=["known", "not there"])
    assert {name: timing.rounds for name, timing in timings.items()} == {"before": 7, "known": 1, "after": 7}
    assert timings["known"].median_seconds == pytest.approx(4.0)
    assert torch.log.count("call") == 7 + 1 + 7 + 2
    alone = stopwatch.time_interleaved({"known": calls["known"]}, clock, warm_seconds=0.1, slow=["known"])
    assert alone["known"].rounds == 1


def test_the_rounds_of_a_slow_call_are_spread_over_all() -> None:
    for planned, total in ((1, 7), (3, 7), (7, 7), (4, 100)):
        taken = [index for index in range(total) if stopwatch._takes_part(planned, index, total)]
        assert len(taken) == planned
        gaps = {after - before for before, after in pairwise(taken)}
        assert len(gaps) <= 2
        assert not gaps or max(gaps) - min(gaps) <= 1


def test_calls_warm_up_by_time_and_short_ones_get_more_rounds() -> None:
    torch = FakeCuda(DEVICE)
    clock = clocks.CudaClock(DEVICE, torch, torch.now)
    count: Counter[str] = Counter()

    def counted(name: str, seconds: float) -> stopwatch.Call:
        def call() -> object:
            count[name] += 1
            return torch.work(seconds)()

        return call

    calls = {"short": counted("short", 0.001), "long": counted("long", 0.003)}
    timings = stopwatch.time_interleaved(calls, clock, warm_seconds=0.1)
    rounds = timings["short"].rounds
    assert rounds == timings["long"].rounds == pytest.approx(0.2 / 0.004, abs=1)
    assert count["short"] - rounds == pytest.approx(0.1 / (0.001 + FLUSH), abs=2)
    assert count["long"] - rounds == pytest.approx(0.1 / (0.003 + FLUSH), abs=2)
    for name in calls:
        count[name] = 0
    stopwatch.time_interleaved({"long": calls["long"]}, clock, warm_seconds=0.002)
    assert count["long"] == 1 + 7  # one cold call is warm enough, if it takes longer than the warm-up
    assert stopwatch.time_interleaved({"short": calls["short"]}, clock, warm_seconds=9.0)["short"].rounds == stopwatch.MOST


@pytest.mark.parametrize("fails_at", [1, 4])
def test_a_call_that_raises_is_dropped_with_its_reason_and_the_others_go_on(fails_at: int) -> None:
    torch = FakeCuda(DEVICE)
    clock = clocks.CudaClock(DEVICE, torch, torch.now)
    seen = 0

    def fails() -> None:
        nonlocal seen
        seen += 1
        if seen == fails_at:
            raise MemoryError("planted\nand more")

    calls = {"before": torch.work(0.001), "fails": fails, "after": torch.work(0.002)}
    timings = stopwatch.time_interleaved(calls, clock, warm_seconds=0.0)
    assert timings.failures == {"fails": "MemoryError: planted"}
    assert {name: timing.rounds for name, timing in timings.items()} == {"before": 7, "after": 7}
    assert seen == fails_at
    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        stopwatch.time_interleaved({"stops": interrupted}, clock)
    assert gc.isenabled()


def interrupted() -> None:
    """A user who has waited long enough."""
    raise KeyboardInterrupt


def test_on_the_cpu_there_are_no_events_and_bad_options_are_refused() -> None:
    timings = stopwatch.time_interleaved({"sum": lambda: sum(range(1000))}, CpuClock(), rounds=5, warm_seconds=0.0)
    assert timings["sum"].event_seconds is None
    assert 0 < timings["sum"].fastest_seconds <= timings["sum"].median_seconds
    assert timings["sum"].rounds == 5
    assert stopwatch.time_interleaved({}, CpuClock()) == {}
    with pytest.raises(ValueError, match="at least one round"):
        stopwatch.time_interleaved({}, CpuClock(), rounds=0)
