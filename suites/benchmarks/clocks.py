"""One stopwatch for CPU and CUDA: what it reads, how it waits, and how caches are emptied."""

import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from fishergauge.reference.errors import UnsupportedError
from fishergauge.suites.benchmarks.machine import cpu_model


class Event(Protocol):
    """Two marks in the queue of a device, used once."""

    def start(self) -> None:
        """Mark the start."""

    def stop(self) -> None:
        """Mark the end."""

    def seconds(self) -> float:
        """The time between both, once the device has passed them."""


class Clock(Protocol):
    """What a stopwatch needs of a device."""

    def __hash__(self) -> int:
        """Timers are kept by their clocks."""

    @property
    def device(self) -> str:
        """For ``torch.device``."""

    @property
    def name(self) -> str:
        """Of the model."""

    def now(self) -> float:
        """The wall clock, in seconds."""

    def synchronize(self) -> None:
        """Wait until the device has finished all that was asked of it."""

    def flush(self) -> None:
        """Empty the cache of the device, so that a round does not profit from the one before."""

    def event(self) -> Event | None:
        """A fresh pair of marks, or None where the wall clock says it all."""


class CpuClock:
    """The clock of the CPU, whose calls return when they are done."""

    device = "cpu"

    @property
    def name(self) -> str:
        """Of the model."""
        return cpu_model()

    def now(self) -> float:
        """The wall clock, in seconds."""
        return time.perf_counter()

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def flush(self) -> None:
        """Nothing: data that a call has just used may stay in the cache, as they do for a user."""

    def event(self) -> None:
        """None."""
        return


class CudaEvent:
    """A pair of CUDA events on the current stream of a device.

    Args:
        cuda: ``torch.cuda``.
        device: of the stream: an event is recorded on the current device otherwise.
    """

    def __init__(self, cuda: Any, device: str) -> None:
        self._stream = cuda.current_stream(device)
        self._first, self._last = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)

    def start(self) -> None:
        """Mark the start."""
        self._first.record(self._stream)

    def stop(self) -> None:
        """Mark the end."""
        self._last.record(self._stream)

    def seconds(self) -> float:
        """The time between both; torch gives milliseconds, in single precision."""
        return float(self._first.elapsed_time(self._last)) / 1000


class CudaClock:
    """The clock of a CUDA device, which computes while the program goes on.

    Args:
        device: ``"cuda"`` or ``"cuda:1"``.
        module: ``torch``, or what stands for it in a test.
        now: the wall clock.
    """

    def __init__(self, device: str = "cuda", module: Any = torch, now: Callable[[], float] = time.perf_counter) -> None:
        self.device = device
        self._cuda = module.cuda
        self._now = now
        # Twice the cache: it is split into parts on recent devices, and a part may keep what the other one reads.
        size = 2 * int(self._cuda.get_device_properties(device).L2_cache_size)
        self._buffer = module.empty(max(size, 1), dtype=module.int8, device=device)

    @property
    def name(self) -> str:
        """Of the model."""
        return str(self._cuda.get_device_name(self.device))

    def now(self) -> float:
        """The wall clock, in seconds."""
        return self._now()

    def synchronize(self) -> None:
        """Wait for all streams of the device; an error of a kernel appears here."""
        self._cuda.synchronize(self.device)

    def flush(self) -> None:
        """Fill the L2 cache with zeros."""
        self._buffer.zero_()

    def event(self) -> CudaEvent:
        """A fresh pair of marks."""
        return CudaEvent(self._cuda, self.device)


@functools.cache
def clock_of(device: str = "cpu") -> Clock:
    """The clock of a device.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns:
        The same clock each time.

    Raises:
        UnsupportedError: another kind of device, or none is visible.

    Example:
        >>> clock_of("cpu").event() is None
        True
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return CpuClock()
    if kind != "cuda":
        raise UnsupportedError(f"there is no stopwatch for {device}; use cpu or cuda")
    if torch.cuda.device_count() == 0:
        raise UnsupportedError("not measured: no device; no CUDA device is visible")
    return CudaClock(device)


def synchronized_now(clock: Clock) -> Callable[[], float]:
    """A timer that waits for the device before it reads the wall clock; the same function each time for the same clock."""
    return _timer(clock)


@functools.cache
def _timer(clock: Clock) -> Callable[[], float]:
    def synchronized() -> float:
        clock.synchronize()
        return clock.now()

    return synchronized
