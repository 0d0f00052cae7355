"""Rates follow from sizes and times as the roofline defines them, on any device."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fishergauge.suites.benchmarks import limits
from fishergauge.suites.benchmarks.clocks import CpuClock
from fishergauge.suites.benchmarks.limits import Limits, bandwidth, fastest, limit_seconds, measure_limits, product_rate

KNOWN = Limits(flops_per_second=100.0, bytes_per_second=10.0, dtype="float64", device="cpu", threads=1)


class Scripted(CpuClock):
    """A clock by which the calls take given times, one after the other, after waiting for them."""

    def __init__(self, *seconds: float) -> None:
        self.seconds: Iterator[float] = iter(seconds)
        self.time = 5.0
        self.waits = 0
        self.flushes = 0

    def now(self) -> float:
        return self.time

    def flush(self) -> None:
        self.flushes += 1

    def synchronize(self) -> None:
        self.waits += 1
        if self.waits % 2 == 0:
            self.time += next(self.seconds)


def test_the_rate_is_two_n_cubed_over_the_fastest_call_at_the_best_size() -> None:
    clock = Scripted(4.0, 2.0, 3.0, 8.0, 9.0, 10.0)
    assert product_rate(clock, torch.float64, (10, 20), seconds=0.0) == pytest.approx(max(2 * 1000 / 2.0, 2 * 8000 / 8.0))
    assert (clock.flushes, clock.waits) == (6, 12)


@pytest.mark.parametrize(("triad", "expected"), [(1.0, 3 * 800 / 1.0), (2.0, 2 * 800 / 1.0)])
def test_the_bandwidth_counts_what_is_read_and_written(triad: float, expected: float) -> None:
    for dtype in (torch.float64, torch.float32):
        clock = Scripted(1.0, 1.5, 1.5, triad, 3.0, 3.0)
        assert bandwidth(clock, dtype, 800, seconds=0.0) == pytest.approx(expected)


def test_copy_and_triad_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []

    def kept(call: Callable[[], torch.Tensor], clock: object, seconds: float) -> float:
        results.append(call().clone())
        return 1.0

    monkeypatch.setattr(limits, "fastest", kept)
    bandwidth(CpuClock(), torch.float64, 32)
    product_rate(CpuClock(), torch.float64, (3,))
    copy, triad, product = results
    assert (copy.tolist(), triad.tolist(), product.tolist()) == ([1.0] * 4, [3.0] * 4, [[3.0] * 3] * 3)


def test_calls_go_on_for_a_while_and_thrice_at_least() -> None:
    tensor = torch.ones(1)
    assert fastest(lambda: tensor, Scripted(1.0, 0.5, 1.0, 0.25, 2.0, 0.1), seconds=4.0) == 0.25
    assert fastest(lambda: tensor, Scripted(9.0, 8.0, 7.0, 1.0), seconds=0.0) == 7.0


@pytest.mark.parametrize(("flops", "size", "expected"), [(1000, 10, 10.0), (10, 1000, 100.0), (0, 0, 0.0)])
def test_the_limit_is_the_larger_of_both(flops: float, size: float, expected: float) -> None:
    assert limit_seconds(flops, size, KNOWN) == expected
    assert limit_seconds(flops, size, replace(KNOWN, flops_per_second=200.0)) <= expected


def test_a_machine_is_measured_once_for_each_dtype_and_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rate(clock: object, dtype: torch.dtype, sizes: object) -> float:
        asked.append(dtype)
        return 7.0

    limits._measured.cache_clear()
    monkeypatch.setattr(limits, "product_rate", rate)
    monkeypatch.setattr(limits, "bandwidth", lambda *_: 3.0)
    threads = torch.get_num_threads()
    try:
        found = [measure_limits(dtype) for dtype in (torch.float64, torch.float32, torch.float64)]
        torch.set_num_threads(threads + 1)
        more = measure_limits(torch.float64)
    finally:
        torch.set_num_threads(threads)
        limits._measured.cache_clear()
    assert asked == [torch.float64, torch.float32, torch.float64]
    assert found[0] == found[2] == Limits(7.0, 3.0, "float64", "cpu", threads)
    assert found[1].dtype == "float32"
    assert more.threads == threads + 1


def test_this_machine_computes_and_moves_something() -> None:
    assert product_rate(CpuClock(), torch.float64, (64, 256), seconds=0.01) > 1e6
    assert bandwidth(CpuClock(), torch.float64, 2**20, seconds=0.01) > 1e6


def test_buffers_exceed_the_cache_and_leave_memory_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for index, size in enumerate(("48K", "2048K", "400000K", "odd")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    monkeypatch.setattr(limits, "_free_memory", lambda: 10**12)
    monkeypatch.setattr(limits, "CACHES", tmp_path)
    assert limits.buffer_bytes() == 600_000 * 1024
    monkeypatch.setattr(limits, "CACHES", tmp_path / "none")
    assert limits.buffer_bytes() == 256 * 2**20
    monkeypatch.setattr(limits, "_free_memory", lambda: 600)
    assert limits.buffer_bytes() == 100
