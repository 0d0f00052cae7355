"""Memory is counted from the start of a call, exactly, and the operating system agrees."""

import os
import sys

import pytest
import torch

from fishergauge.reference.errors import UnsupportedError
from fishergauge.suites.benchmarks.memory import cuda_peak_bytes, peak_bytes, resident_bytes, running_maximum

KILO = 1000 * 8


def test_the_peak_counts_what_is_held_at_once() -> None:
    def together() -> torch.Tensor:
        first, second = torch.zeros(1000, dtype=torch.float64), torch.zeros(1000, dtype=torch.float64)
        return first.add_(second)

    def in_turn() -> torch.Tensor:
        torch.zeros(1000, dtype=torch.float64)
        return torch.zeros(1000, dtype=torch.float64)

    assert peak_bytes(together) == 2 * KILO
    assert peak_bytes(in_turn) == KILO


def test_the_peak_counts_from_the_start() -> None:
    kept = torch.zeros(10**6, dtype=torch.float64)
    assert peak_bytes(lambda: kept[:10].neg()) == 80


def test_the_peak_sees_workspaces_inside_operators() -> None:
    matrix = torch.eye(100, dtype=torch.float64)
    result = matrix.numel() * 8 + 100 * 8
    assert peak_bytes(lambda: torch.linalg.eigh(matrix)) > result + matrix.numel() * 8


def test_the_peak_is_deterministic_and_survives_an_exception() -> None:
    def fail() -> None:
        torch.zeros(10)
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        peak_bytes(fail)
    peaks = {peak_bytes(lambda: torch.linalg.eigh(torch.eye(40, dtype=torch.float64))) for _ in range(3)}
    assert len(peaks) == 1


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    peak_bytes(lambda: torch.ones(3))
    assert capfd.readouterr() == ("", "")


def test_of_the_lines_of_a_call_only_those_of_the_profiler_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    held = [torch.ones(1000) for _ in range(3000)]

    def call() -> None:
        os.write(2, b"said by the call\n")
        held.clear()

    peak_bytes(call)
    assert capfd.readouterr() == ("", "said by the call\n")

    def fails() -> None:
        os.write(2, b"before it failed\n")
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        peak_bytes(fails)
    assert capfd.readouterr() == ("", "before it failed\n")


@pytest.mark.parametrize(("changes", "expected"), [([3, -1, 3, -5], 5), ([], 0), ([-7, 2], 0)])
def test_running_maximum(changes: list[int], expected: int) -> None:
    assert running_maximum(changes) == expected


MEGA = 2**20
BIG = 100 * MEGA


def test_the_resident_set_of_a_process_agrees_with_the_counted_peak() -> None:
    counted = peak_bytes(lambda: torch.ones(BIG // 4))
    assert counted == BIG
    tolerance = 8 * MEGA  # what torch loads and sets up at its first operation
    seen, half = (resident_bytes("torch:ones", size) for size in (BIG // 4, BIG // 8))
    assert abs(seen - counted) < tolerance
    assert abs(half - counted) > tolerance


def test_what_the_caller_holds_is_not_taken_for_the_memory_of_the_call() -> None:
    kept = torch.ones(BIG // 8, dtype=torch.float64)
    assert resident_bytes("builtins:chr", 65) < MEGA
    del kept


@pytest.mark.parametrize(
    ("target", "message"), [("torch", "names no function"), ("json:no_such", "no_such"), ("builtins:chr", "TypeError")]
)
def test_a_call_that_cannot_be_measured_says_why(target: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        resident_bytes(target)


def test_other_platforms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnsupportedError, match="not on win32; use peak_bytes"):
        resident_bytes("builtins:chr", 65)


class Allocator:
    """Stands for ``torch.cuda``: memory that is freed or reserved when the device gets to it."""

    def __init__(self) -> None:
        self.allocated, self.highest, self.pending = 100, 5000, [1000]
        self.log: list[str] = []

    def allocate(self, size: int) -> None:
        self.pending.append(size)

    def synchronize(self, device: str) -> None:
        self.log.append("synchronize")
        for size in self.pending:
            self.allocated += size
            self.highest = max(self.highest, self.allocated)
        self.pending.clear()

    def empty_cache(self) -> None:
        self.log.append("empty")

    def reset_peak_memory_stats(self, device: str) -> None:
        self.log.append("reset")
        self.highest = self.allocated

    def memory_allocated(self, device: str) -> int:
        return self.allocated

    def max_memory_allocated(self, device: str) -> int:
        return self.highest


def test_the_peak_on_cuda_is_the_maximum_beyond_the_start_of_a_finished_call() -> None:
    device = Allocator()

    def call() -> None:
        device.log.append("call")
        device.allocate(300)
        device.allocate(-300)
        device.allocate(20)

    assert cuda_peak_bytes(call, "cuda", device) == 300
    assert device.log == ["synchronize", "empty", "reset", "call", "synchronize"]
