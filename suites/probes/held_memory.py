"""The bytes that a sequence of calls holds at its peak: those that earlier calls have kept count as well."""

from collections.abc import Callable
from typing import TypeVar

import torch

from fishergauge.suites.benchmarks.memory import allocations, peak_bytes, running_maximum

T = TypeVar("T")


class HeldMemory:
    """Adds up what calls allocate and keep, as :func:`fishergauge.suites.benchmarks.memory.peak_bytes` counts it.

    Args:
        device: where the calls compute.

    Example:
        >>> memory = HeldMemory("cpu")
        >>> kept, _ = memory.measured(lambda: torch.zeros(10, dtype=torch.float64))
        >>> memory.measured(lambda: None)[1]
        80
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.held = 0

    def measured(self, function: Callable[[], T]) -> tuple[T, int]:
        """What a call returns, and the most bytes that were held during it.

        Args:
            function: called once; if it raises, nothing of it is counted.
        """
        if torch.device(self.device).type == "cuda":
            return self._on_cuda(function)
        result, changes = allocations(function)
        peak = self.held + running_maximum(changes)
        self.held = max(0, self.held + sum(changes))
        return result, peak

    def _on_cuda(self, function: Callable[[], T]) -> tuple[T, int]:
        found: list[T] = []
        self.held = int(torch.cuda.memory_allocated(self.device))
        above = peak_bytes(lambda: found.append(function()), self.device)
        return found[0], self.held + above
