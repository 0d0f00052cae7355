"""Which devices the suites run on, and what a run must find."""

import os

import torch

from fishergauge.reference.errors import UnsupportedError


def devices() -> list[str]:
    """``cpu``, and ``cuda`` where a device is visible (a CUDA build without one has ``is_available`` but no device)."""
    return ["cpu", *(["cuda"] if torch.cuda.device_count() > 0 else [])]


def require() -> None:
    """Raise UnsupportedError unless the device named by ``FISHERGAUGE_REQUIRE`` is there: a run on it may not pass by skipping.

    ``browser`` is no device: a run that requires it is one on the CPU, and the tests of the page look for the browser.

    Raises:
        UnsupportedError: the device is missing, or the variable names an unknown one.
    """
    wanted = os.environ.get("FISHERGAUGE_REQUIRE", "cpu") or "cpu"
    if wanted == "browser":
        return
    if wanted not in ("cpu", "cuda"):
        raise UnsupportedError(f"FISHERGAUGE_REQUIRE is {wanted!r}; it names a device: cpu or cuda; or it is browser")
    if wanted not in devices():
        build = torch.version.cuda or "no CUDA"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise UnsupportedError(
            f"FISHERGAUGE_REQUIRE={wanted}, but no such device is visible: torch {torch.__version__} was built with {build}, "
            f"CUDA_VISIBLE_DEVICES is {visible!r}. Install a CUDA build and make a device visible, or run the leg 'cpu'"
        )


def description() -> str:
    """torch's build, the devices and the number of threads, for the header of a run."""
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    threads = torch.get_num_threads()
    return f"torch {torch.__version__} ({build} build), devices: {', '.join(['cpu', *names])}, threads: {threads}"
