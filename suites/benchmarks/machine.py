"""The machine and the packages that a measured time belongs to."""

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch

from fishergauge.suites.versions import version_of

PACKAGES = (
    "torch",
    "fishergauge",
    "numpy",
    "backpack-for-pytorch",
    "curvlinops-for-pytorch",
    "nngeometry",
    "asdfghjkl",
    "laplace-torch",
)
MUST_AGREE = {"cpu": "CPU", "gpu": "GPU", "threads": "threads", "torch": "torch", "cuda": "CUDA"}
CPUINFO = Path("/proc/cpuinfo")


def machine(device: str = "cpu") -> dict[str, str | int]:
    """What a time depends on beside the code; it never raises.

    Args:
        device: that computes.

    Returns:
        ``cpu`` (model), ``cores`` (visible to this process), ``threads`` (that torch uses), ``gpu`` (model, empty for a run
        on the CPU), ``torch`` (version and build), ``cuda`` (of the build, empty without), ``platform`` and ``python``.

    Example:
        >>> sorted(machine())
        ['cores', 'cpu', 'cuda', 'gpu', 'platform', 'python', 'threads', 'torch']
    """
    return {
        "cpu": cpu_model(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "gpu": _gpu(device),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda or "",
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of those of :data:`PACKAGES` that are installed.

    Example:
        >>> "torch" in versions()
        True
    """
    return {package: version for package in PACKAGES if (version := version_of(package)) is not None}


def differences(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """In what two machines differ that makes their times incomparable.

    Args:
        first: of the earlier run, as :func:`machine` gives it.
        second: of the later run.

    Returns:
        One line for each of CPU and GPU model, threads, torch's version and CUDA build; what one of them lacks differs.

    Example:
        >>> differences({"cpu": "A", "threads": 2}, {"cpu": "B", "threads": 2})
        ['CPU: A, now B']
    """
    absent = "unknown"
    return [
        f"{title}: {_named(first.get(key, absent))}, now {_named(second.get(key, absent))}"
        for key, title in MUST_AGREE.items()
        if first.get(key, absent) != second.get(key, absent)
    ]


@functools.cache
def cpu_model() -> str:
    """The model of the CPU: of ``/proc/cpuinfo``, of ``sysctl`` on macOS, or what Python knows."""
    return _from_cpuinfo() or _from_sysctl() or platform.processor() or platform.machine() or "unknown"


def _from_cpuinfo() -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    values = {key.strip(): value.strip() for key, colon, value in (text.partition(":") for text in lines) if colon}
    if "model name" in values:
        return values["model name"]
    parts = [values[key] for key in ("CPU implementer", "CPU part") if key in values]  # ARM gives numbers only
    return f"{platform.machine()} {' '.join(parts)}" if parts else ""


def _from_sysctl() -> str:
    if platform.system() != "Darwin":
        return ""
    try:
        done = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpu(device: str) -> str:
    try:
        return str(torch.cuda.get_device_name(device)) if torch.device(device).type == "cuda" else ""
    except (AssertionError, RuntimeError, ValueError):  # no CUDA build, no visible device, no such index, no such device
        return "none"


def _named(value: object) -> str:
    return "none" if value == "" else str(value)
