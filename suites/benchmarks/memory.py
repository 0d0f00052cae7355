"""How much memory a computation holds beyond its start: counted, and as the operating system sees it."""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from fishergauge.reference.errors import UnsupportedError

T = TypeVar("T")

RESIDENT = """
import importlib, json, resource, sys
def highest():
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
module, name, arguments = json.loads(sys.stdin.read())
function = getattr(importlib.import_module(module), name)
before = highest()
result = function(*arguments)
sys.stdout.write("\\n%d" % (highest() - before))
"""

NO_OPERATORS = torch._C._profiler.RecordScope.STATIC_RUNTIME_OP
"""A scope in which nothing runs here: operators are not recorded beside their allocations, which would take more than they."""

UNKNOWN_BLOCK = b"Memory block of unknown size was allocated before the profiling started"


def peak_bytes(function: Callable[[], object], device: str = "cpu") -> int:
    """The most bytes that tensors and the workspaces of torch's operators hold at any moment of a call.

    Counted from the start of the call: what was held before does not count. On a CPU every allocation and
    release that passes through torch's allocator is recorded by its profiler, also those inside an operator
    (the workspace of ``eigh``, the permuted copies of ``einsum``), and added up in order of time: a
    deterministic figure, unlike the resident set. On CUDA it is the allocator's own maximum.

    Not seen are arrays of numpy and scipy, Python objects, and buffers that a BLAS library keeps for itself.
    On CUDA torch allocates the workspace of cuBLAS in the first product and keeps it: call the function once before.

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
        return cuda_peak_bytes(function, device, torch.cuda)
    _, changes = allocations(function)
    return running_maximum(changes)


def allocations(function: Callable[[], T]) -> tuple[T, list[int]]:
    """What a call on a CPU returns, and the bytes that it allocates (positive) and releases (negative), in order of time.

    What it released of what was there before is not among them, unless that was allocated under this function as well.

    Args:
        function: the computation, called once.

    Example:
        >>> allocations(lambda: torch.zeros(10, dtype=torch.float64))[1]
        [80]
    """
    profiler: Any = torch.autograd  # of whose functions torch tells too few arguments
    recorder = profiler.profiler.profile(use_cpu=True, profile_memory=True)
    config, activities = recorder.config(), recorder.kineto_activities
    with _silent_profiler():
        profiler._prepare_profiler(config, activities)
        profiler._enable_profiler(config, activities, {NO_OPERATORS})
    try:
        with _without(UNKNOWN_BLOCK):
            result = function()
    finally:
        with _silent_profiler():
            events = profiler._disable_profiler().events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    return result, [change for _, change in sorted(changes, key=lambda change: change[0])]


def cuda_peak_bytes(function: Callable[[], object], device: str, cuda: Any) -> int:
    """The allocator's maximum during a call, less what was allocated at its start.

    Args:
        function: the computation, called once.
        device: where it computes.
        cuda: ``torch.cuda``, or what stands for it in a test.

    Returns:
        Bytes.
    """
    gc.collect()  # cycles of earlier calls may hold tensors, which must not be freed during this one
    cuda.synchronize(device)
    cuda.empty_cache()
    cuda.reset_peak_memory_stats(device)
    base = int(cuda.memory_allocated(device))
    result = function()
    cuda.synchronize(device)
    peak = int(cuda.max_memory_allocated(device))
    del result
    return peak - base


def running_maximum(changes: Iterable[int]) -> int:
    """The highest partial sum of changes, and at least zero: 5 for 3, -1, 3, -5."""
    held = highest = 0
    for change in changes:
        held += change
        highest = max(highest, held)
    return highest


def resident_bytes(target: str, *arguments: str | float) -> int:
    """By how much a call raises the maximum resident set of a fresh process.

    It sees what :func:`peak_bytes` does not, such as arrays of numpy, and is coarser: pages that the allocator of the
    process kept from before are not counted, nor are pages never written to; libraries loaded at the first call are.

    On Linux the maximum is ``VmHWM``, which belongs to the memory of the process alone: ``ru_maxrss`` begins with the
    maximum of the process that started it.

    Args:
        target: the function, as ``"package.module:function"``.
        arguments: for it, strings and numbers.

    Returns:
        Bytes.

    Raises:
        UnsupportedError: the platform does not tell, or the call failed in the other process.

    Example:
        >>> resident_bytes("builtins:chr", 65) < 10e6
        True
    """
    if not sys.platform.startswith("linux") and sys.platform != "darwin":
        raise UnsupportedError(f"the resident set is measured on Linux and macOS, not on {sys.platform}; use peak_bytes")
    module, _, name = target.partition(":")
    if not name:
        raise UnsupportedError(f"{target!r} names no function; write it as package.module:function")
    given = json.dumps([module, name, arguments])
    done = subprocess.run([sys.executable, "-c", RESIDENT], input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnsupportedError(f"{target} failed in a process of its own: {last}")
    return int(done.stdout.splitlines()[-1])


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


@contextmanager
def _without(unwanted: bytes) -> Iterator[None]:
    """Keep lines that contain a text off the terminal; all others appear there at the end."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 2)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            file.seek(0)
            for line in file:
                if unwanted not in line:
                    os.write(kept, line)
            os.close(kept)
