"""What of the process a computation must leave as it was, and how to put it back."""

import gc
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules import module as torch_module

from fishergauge.suites.seeding import derived_seed


@dataclass(frozen=True)
class Aspect:
    """A setting of the process: its name, how it is read and how it is put back."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _default_device() -> torch.device | None:
    """None where no default device was ever set: torch is slower with one, even if it is the CPU."""
    if getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None) is None:
        return None
    return torch.get_default_device()


def _write_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _fused_attention() -> tuple[bool, ...]:
    cuda: Any = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled(), cuda.cudnn_sdp_enabled()


def _write_fused_attention(value: tuple[bool, ...]) -> None:
    cuda: Any = torch.backends.cuda
    writers = (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_math_sdp, cuda.enable_cudnn_sdp)
    for write, enabled in zip(writers, value, strict=True):
        write(enabled)


def _autocast() -> tuple[tuple[bool, torch.dtype], ...]:
    return tuple((torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in ("cpu", "cuda"))


def _write_autocast(value: tuple[tuple[bool, torch.dtype], ...]) -> None:
    for device, (enabled, dtype) in zip(("cpu", "cuda"), value, strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)


_HOOKS = tuple(name for name, value in vars(torch_module).items() if name.startswith("_global_") and isinstance(value, dict))


def _global_hooks() -> tuple[dict[Any, Any], ...]:
    return tuple(dict(getattr(torch_module, name)) for name in _HOOKS)


def _write_global_hooks(value: tuple[dict[Any, Any], ...]) -> None:
    for name, hooks in zip(_HOOKS, value, strict=True):
        current = getattr(torch_module, name)
        current.clear()
        current.update(hooks)


def _precision() -> tuple[str, bool, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32


def _write_precision(value: tuple[str, bool, bool]) -> None:
    torch.set_float32_matmul_precision(value[0])
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = value[1:]


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _write_directory(value: str | None) -> None:
    with suppress(OSError):
        os.chdir(value or os.sep)


def _write_environment(value: Mapping[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)


_SIGNALS = tuple(number for number in signal.Signals if number.name not in ("SIGKILL", "SIGSTOP"))


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in _SIGNALS)


def _write_handlers(value: tuple[Any, ...]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in zip(_SIGNALS, value, strict=True):
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _write_collector(enabled: bool) -> None:
    if enabled:
        gc.enable()
    else:
        gc.disable()


ASPECTS: tuple[Aspect, ...] = (
    Aspect("default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Aspect("default device", _default_device, torch.set_default_device),
    Aspect("number of threads", torch.get_num_threads, torch.set_num_threads),
    Aspect("gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Aspect(
        "deterministic mode",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        _write_deterministic,
    ),
    Aspect(
        "anomaly mode",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda value: torch.autograd.set_detect_anomaly(*value),
    ),
    Aspect("autocast", _autocast, _write_autocast),
    Aspect("precision of products", _precision, _write_precision),
    Aspect("fast path of attention", torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    Aspect("fused attention", _fused_attention, _write_fused_attention),
    Aspect("hooks of all modules", _global_hooks, _write_global_hooks),
    Aspect("numpy's treatment of floating-point errors", np.geterr, lambda value: np.seterr(**value)),
    Aspect("current directory", _directory, _write_directory),
    Aspect("signal handlers", _handlers, _write_handlers),
    Aspect("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Aspect("garbage collector", gc.isenabled, _write_collector),
)
_ENVIRONMENT = Aspect("environment variables", lambda: dict(os.environ), _write_environment)


def cuda_in_use() -> bool:
    """Whether this process has a CUDA context."""
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized())


def _cuda_states() -> list[Tensor]:
    return torch.cuda.get_rng_state_all() if cuda_in_use() else []


def _write_cuda_states(value: list[Tensor]) -> None:
    if value:
        torch.cuda.set_rng_state_all(value)


RANDOM: tuple[Aspect, ...] = (
    Aspect("random state", torch.default_generator.get_state, torch.default_generator.set_state),
    Aspect("random state of CUDA", _cuda_states, _write_cuda_states),
    Aspect("random state of numpy", np.random.get_state, np.random.set_state),
    Aspect("random state of Python", random.getstate, random.setstate),
)


def read(aspects: tuple[Aspect, ...] = ASPECTS) -> dict[str, object]:
    """The present values by name of the aspect."""
    return {aspect.name: aspect.read() for aspect in aspects}


def same(before: object, after: object) -> bool:
    """Whether two states are equal: tensors entry by entry with NaN equal to NaN, containers item by item."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        if before.shape != after.shape or before.dtype != after.dtype or before.device != after.device:
            return False
        if torch.equal(before, after):
            return True
        return bool(((before == after) | ((before != before) & (after != after))).all())
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        return bool(np.array_equal(before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(same(before[k], after[k]) for k in before)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(same(a, b) for a, b in zip(before, after, strict=True))
    return type(before) is type(after) and bool(before == after)


def seed_everything(seed: int) -> None:
    """Seed the global generators of torch, numpy and Python; the same seed of ours is none that others are likely to set."""
    chosen = derived_seed("global generators", seed)
    torch.default_generator.manual_seed(chosen)
    if cuda_in_use():
        torch.cuda.manual_seed_all(chosen)
    np.random.seed(chosen % 2**32)  # noqa: NPY002  for subjects that draw from the global generator
    random.seed(chosen)


@contextmanager
def preserved(seed: int, report_random: bool = False) -> Iterator[list[str]]:
    """Seed the global generators, and put the process back as it was when the context ends, however it ends.

    Environment variables are left alone, and not reported, if modules were imported meanwhile: packages set some
    when they are imported first, and rely on them.

    Args:
        seed: for the global generators of torch, numpy and Python.
        report_random: whether their use counts as a change.

    Yields:
        A list that holds the names of what was changed once the context has ended.
    """
    changed: list[str] = []
    states, settings, environment, modules = read(RANDOM), read(), _ENVIRONMENT.read(), len(sys.modules)
    seed_everything(seed)
    seeded = read(RANDOM) if report_random else {}
    try:
        yield changed
    finally:
        for aspect in RANDOM:
            if report_random and not same(seeded[aspect.name], aspect.read()):
                changed.append(aspect.name)
            aspect.write(states[aspect.name])
        for aspect in ASPECTS:
            if not same(settings[aspect.name], aspect.read()):
                changed.append(aspect.name)
                aspect.write(settings[aspect.name])
        if len(sys.modules) == modules and not same(environment, _ENVIRONMENT.read()):
            changed.append(_ENVIRONMENT.name)
            _ENVIRONMENT.write(environment)
