"""What a computation costs: wall time and the peak of memory held beyond its start."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.one_thread import one_thread


@dataclass(frozen=True)
class Cost:
    """What one computation costs.

    Args:
        seconds: median wall time of a call, on one thread of the CPU.
        peak_bytes: most memory held at any moment beyond what was held at the start, see
            :func:`~fishergauge.suites.benchmarks.memory.peak_bytes`.
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


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
