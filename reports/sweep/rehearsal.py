"""Cells that do nothing but what can happen to a cell: to try an engine or a cluster out, and to test them."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE = 60.0
GLANCE = 0.01


def echo(value: float | str = 0, seconds: float = 0.0) -> dict[str, Any]:
    """Return a value after some seconds, with the number of the process.

    Args:
        value: to return.
        seconds: to wait.
    """
    time.sleep(seconds)
    return {"value": value, "process": os.getpid()}


def threads() -> dict[str, int]:
    """Return the number of threads that torch uses."""
    import torch

    return {"threads": torch.get_num_threads()}


def fail(value: float = 0) -> None:
    """Raise.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"planted failure {value}")


def give(kind: str) -> Any:
    """Return something that JSON cannot carry, or not without a reason beside it.

    Args:
        kind: ``"nan"``, ``"bare-nan"``, ``"object"`` or ``"function"``.
    """
    return {"nan": {"value": float("nan")}, "bare-nan": float("nan"), "object": {"value": object()}, "function": lambda: 0}[
        kind
    ]


def leave(how: str = "kill", folder: str = "", times: int = 0) -> dict[str, Any]:
    """End the process: killed, with an exit code, or by an exception that is none.

    Args:
        how: ``"kill"``, ``"exit"``, ``"sys-exit"`` or ``"interrupt"``.
        folder: notes each beginning there, where given.
        times: after so many beginnings it returns instead; 0 for never.
    """
    begun = note(folder, "leave") if folder else 0
    if times and begun > times:
        return {"begun": begun}
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(9)
    raise SystemExit(3) if how == "sys-exit" else KeyboardInterrupt


def hold(folder: str, name: str) -> dict[str, Any]:
    """Note the beginning in a folder, and wait until there is a file ``go`` in it.

    Args:
        folder: that all workers see.
        name: of the cell.

    Raises:
        TimeoutError: the file does not come.
    """
    begun = note(folder, name)
    wait_for(Path(folder, "go"))
    return {"name": name, "begun": begun}


def alone(folder: str, name: str, seconds: float = 0.0, until: str = "") -> dict[str, Any]:
    """Return which cells of the same folder were at work while this one was.

    Args:
        folder: that all workers see.
        name: of the cell.
        seconds: to work at least.
        until: a cell that has to begin before this one ends.

    Raises:
        TimeoutError: it does not begin.
    """
    own = Path(folder, f"{name}.at-work")
    own.touch()
    seen: set[str] = set()
    end = time.monotonic() + seconds
    try:
        begun = False
        while not begun or time.monotonic() < end:
            seen |= {path.stem for path in Path(folder).glob("*.at-work")} - {name}
            if not begun:
                note(folder, name)
                if until:
                    wait_for(Path(folder, f"{until}.begun"))
                begun = True
            time.sleep(GLANCE)
        return {"name": name, "beside": sorted(seen), "process": os.getpid()}
    finally:
        own.unlink()


def note(folder: str, name: str) -> int:
    """Append the number of this process to a file of a name; how many there are in it."""
    with Path(folder, f"{name}.begun").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(folder, f"{name}.begun").read_text(encoding="utf-8").split())


def wait_for(path: Path, patience: float = PATIENCE) -> None:
    """Wait until there is a file.

    Raises:
        TimeoutError: it does not come.
    """
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{path} did not come in {patience:g} s")
        time.sleep(GLANCE)


def where() -> dict[str, bool]:
    """Return whether the cell runs in the main thread, and in a process that may have no processes."""
    main = threading.current_thread() is threading.main_thread()
    return {"main_thread": main, "daemon": multiprocessing.current_process().daemon}
