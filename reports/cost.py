"""What a computation costs: wall time and the peak of memory held beyond its start."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from fishergauge.suites.one_thread import one_thread


@dataclass(frozen=True)
class Cost:
    """What one computation costs.

    Args:
        seconds: median wall time of a call, on one thread of the CPU.
        peak_bytes: most memory held at any moment beyond what was held at the start, see :func:`peak_bytes`.
    """

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Comparison:
    """A notebook's algorithm and this package's at the same task, measured one after the other on the same machine.

    Args:
        task: for example ``"E4"``.
        seed: of the cell, the first where several were run.
        notebook: cost of the notebook's algorithm.
        fishergauge: cost of this package's.
        deviation: largest relative difference between their results, to show that both did the same work.
        seeds: how many seeds the measured computation ran.
    """

    task: str
    seed: int
    notebook: Cost
    fishergauge: Cost
    deviation: float
    seeds: int = 1

    def row(self) -> dict[str, Any]:
        """The comparison as a row of a table; a record carries such rows under ``costs``."""
        return {
            "task": self.task,
            "seed": self.seed,
            "seeds": self.seeds,
            "notebook_seconds": self.notebook.seconds,
            "fishergauge_seconds": self.fishergauge.seconds,
            "notebook_peak_bytes": self.notebook.peak_bytes,
            "fishergauge_peak_bytes": self.fishergauge.peak_bytes,
            "deviation": self.deviation,
        }


def measure(function: Callable[[], object], device: str = "cpu", runs: int = 3) -> Cost:
    """Measure a computation: its peak of memory in a first call, which also warms up, then its time.

    Args:
        function: the computation; called ``runs + 1`` times.
        device: where it computes.
        runs: how many calls are timed.

    Returns:
        The peak, and the median of the times.

    Raises:
        ValueError: ``runs`` is below one.

    Example:
        >>> measure(lambda: torch.ones(1000, dtype=torch.float64).neg()).peak_bytes
        16000
    """
    if runs < 1:
        raise ValueError(f"at least one call must be timed, not {runs}")
    peak = peak_bytes(function, device)
    return Cost(statistics.median(seconds(function, device) for _ in range(runs)), peak)


def seconds(function: Callable[[], object], device: str = "cpu") -> float:
    """The wall time of one call, until the device has finished.

    The CPU computes on one thread: threads that wait for one another make times of small operators depend on what else
    runs on the machine, by factors.
    """
    with one_thread():
        _synchronize(device)
        start = time.perf_counter()
        function()
        _synchronize(device)
        return time.perf_counter() - start


def peak_bytes(function: Callable[[], object], device: str = "cpu") -> int:
    """The most bytes that tensors and the workspaces of torch's operators hold at any moment of a call.

    Counted from the start of the call: what was held before does not count. On a CPU every allocation and
    release that passes through torch's allocator is recorded by its profiler, also those inside an operator
    (the workspace of ``eigh``, the permuted copies of ``einsum``), and added up in order of time: a
    deterministic figure, unlike the resident set. On CUDA it is the allocator's own maximum.

    Not seen are arrays of numpy and scipy, Python objects, and buffers that a BLAS library keeps for itself.

    Args:
        function: the computation, called once; its result is released afterwards.
        device: where it computes.

    Returns:
        Bytes.

    Example:
        >>> peak_bytes(lambda: torch.zeros(10, dtype=torch.float64))
        80
    """
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        base = torch.cuda.memory_allocated(device)
        seconds(function, device)
        return torch.cuda.max_memory_allocated(device) - base
    recorder: Any = torch.autograd.profiler.profile(use_cpu=True, profile_memory=True)
    with _silent_profiler():
        recorder.__enter__()
    try:
        result = function()
    finally:
        with _silent_profiler():
            recorder.__exit__(None, None, None)
    del result
    events = recorder.kineto_results.events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    return running_maximum(change for _, change in sorted(changes, key=lambda change: change[0]))


def running_maximum(changes: Iterable[int]) -> int:
    """The highest partial sum of changes, and at least zero: 5 for 3, -1, 3, -5."""
    held = highest = 0
    for change in changes:
        held += change
        highest = max(highest, held)
    return highest


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _silent_profiler() -> Iterator[None]:
    """Keep the lines that the profiler's C++ part writes when it starts and stops off the terminal."""
    sys.stderr.flush()
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
