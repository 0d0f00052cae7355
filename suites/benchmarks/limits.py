"""What the machine can do: its rate of matrix products and its memory bandwidth, measured."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fishergauge.suites.benchmarks.clocks import Clock, clock_of

SIZES = {"cpu": (512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192)}
BUFFER = 256 * 2**20
SECONDS = 0.3  # for each size of a product, and for each way to move memory
FEWEST = 3
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Limits:
    """The fastest that was seen on a machine.

    Args:
        flops_per_second: in products of square matrices, a product of size n counting 2 n^3.
        bytes_per_second: read plus written, in copies and triads of buffers beyond the cache.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"`` or ``"cuda"``.
        threads: of torch.
    """

    flops_per_second: float
    bytes_per_second: float
    dtype: str
    device: str
    threads: int


def measure_limits(dtype: torch.dtype, device: str = "cpu") -> Limits:
    """Measure the machine, once in a process for each dtype, device and number of threads: some seconds.

    Args:
        dtype: of the numbers.
        device: that computes.

    Returns:
        The rates. They are those of this moment: other load on the machine lowers them, and with them the limits.

    Raises:
        UnsupportedError: the device is not visible.

    Reference:
        Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52 (2009); McCalpin, "Memory bandwidth and
        machine balance", IEEE TCCA newsletter (1995), for copy and triad.
    """
    return _measured(dtype, device, torch.get_num_threads())


@functools.cache
def _measured(dtype: torch.dtype, device: str, threads: int) -> Limits:
    clock = clock_of(device)
    kind = torch.device(device).type
    return Limits(
        flops_per_second=product_rate(clock, dtype, SIZES[kind]),
        bytes_per_second=bandwidth(clock, dtype, buffer_bytes(device)),
        dtype=str(dtype).removeprefix("torch."),
        device=kind,
        threads=threads,
    )


def product_rate(clock: Clock, dtype: torch.dtype, sizes: Sequence[int], seconds: float = SECONDS) -> float:
    """Operations in a second of ``torch.mm`` into an existing matrix: the fastest call at the best size.

    Args:
        clock: of the device.
        dtype: of the matrices.
        sizes: n of the square matrices.
        seconds: spent on each size.

    Returns:
        Twice n^3 over the time of a call.
    """
    rates = []
    for size in sizes:
        left, right, out = (torch.ones(size, size, dtype=dtype, device=clock.device) for _ in range(3))
        rates.append(2 * size**3 / fastest(functools.partial(torch.mm, left, right, out=out), clock, seconds))
    return max(rates)


def bandwidth(clock: Clock, dtype: torch.dtype, size: int, seconds: float = SECONDS) -> float:
    """Bytes in a second, read plus written, of the faster of a copy (b = a) and a triad (c = a + 2 b).

    A line of memory that is read because it will be written to counts once, as written.

    Args:
        clock: of the device.
        dtype: of the buffers.
        size: of each of three buffers, in bytes.
        seconds: spent on each.

    Returns:
        Two buffers over the time of a copy, or three over the time of a triad, whichever is more.
    """
    numbers = max(1, size // dtype.itemsize)
    first, second, out = (torch.ones(numbers, dtype=dtype, device=clock.device) for _ in range(3))
    moved = numbers * dtype.itemsize
    copy = fastest(functools.partial(out.copy_, first), clock, seconds)
    triad = fastest(functools.partial(torch.add, first, second, alpha=2, out=out), clock, seconds)
    return max(2 * moved / copy, 3 * moved / triad)


def fastest(call: Callable[[], Tensor], clock: Clock, seconds: float) -> float:
    """The shortest time of a call, among at least three and as many as take ``seconds``."""
    best, spent, calls = float("inf"), 0.0, 0
    while calls < FEWEST or spent < seconds:
        clock.flush()
        clock.synchronize()
        start = clock.now()
        call()
        clock.synchronize()
        taken = clock.now() - start
        best, spent, calls = min(best, taken), spent + taken, calls + 1
    return best


def buffer_bytes(device: str = "cpu") -> int:
    """The size of a buffer that no cache holds: 256 MiB, or half more than the last-level cache where that is more.

    Where three of them would take more than half of the free memory they are smaller.
    """
    if torch.device(device).type == "cuda":
        cache, free = int(torch.cuda.get_device_properties(device).L2_cache_size), torch.cuda.mem_get_info(device)[0]
    else:
        cache, free = max(_cache_sizes(), default=0), _free_memory()
    return min(max(BUFFER, 3 * cache // 2), free // 6)


def limit_seconds(flops: float, bytes_: float, limits: Limits) -> float:
    r"""The time below which work cannot be done on a machine.

    .. math:: \max(\text{flops} / \text{rate}, \text{bytes} / \text{bandwidth})

    Args:
        flops: that must be done.
        bytes_: that must be read and written.
        limits: of the machine.

    Returns:
        Seconds.

    Example:
        >>> limit_seconds(6.0, 4.0, Limits(2.0, 1.0, "float64", "cpu", 1))
        4.0

    Reference:
        Williams, Waterman and Patterson, Communications of the ACM 52 (2009).
    """
    return max(flops / limits.flops_per_second, bytes_ / limits.bytes_per_second)


def _cache_sizes() -> Iterator[int]:
    """Of the caches of the first core, in bytes; none where the platform does not say."""
    for path in sorted(CACHES.glob("index*/size")):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if text.endswith("K") and text[:-1].isdigit():
            yield int(text[:-1]) * 1024


def _free_memory() -> int:
    """Bytes that can be used without paging, or those of six buffers where the platform does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 6 * BUFFER
