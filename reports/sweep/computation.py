"""What every engine runs, in whatever process: a cell given as text to an answer given as text."""

import importlib
import json
import os
import platform
import sys
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from fishergauge.reports.code_version import code_version
from fishergauge.reports.sweep.cell import SweepCell, cell_from, torch_version
from fishergauge.suites.jsonable import jsonable


def answer_to(question: str, own_process: bool = False) -> str:
    """Compute a cell on one thread.

    Args:
        question: the cell as JSON.
        own_process: whether this process is for cells alone, and begins with one thread.

    Returns:
        JSON with ``verdict``, ``result``, ``error``, ``trace``, ``seconds``, and who computed: ``worker``, ``code``, ``torch``.
        Whatever the function raises makes a failed cell, an interrupt from the keyboard excepted.
    """
    cell = cell_from(json.loads(question))
    start = time.perf_counter()
    try:
        with _one_thread(own_process):
            answer = _result(cell)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # one that exits is a failed cell, too
        answer = {"verdict": "failed", "error": said_of(error), "trace": traceback.format_exc()}
    seconds = time.perf_counter() - start
    who = {"worker": worker_name(), "code": code_version(), "torch": torch_version()}
    return json.dumps({"seconds": seconds, **answer, **who}, allow_nan=False)


def answer_without_keyboard(question: str) -> str:
    """As :func:`answer_to`, in a process that the keyboard does not interrupt: an interrupt is the function's own."""
    try:
        return answer_to(question, own_process=True)
    except KeyboardInterrupt as error:
        return json.dumps(
            {"verdict": "failed", "error": said_of(error), "trace": traceback.format_exc(), "worker": worker_name()}
        )


def question_of(cell: SweepCell) -> str:
    """The cell as it is sent."""
    return json.dumps(cell.as_dict(), allow_nan=False)


def said_of(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def worker_name() -> str:
    """Host and number of this process."""
    return f"{platform.node()}:{os.getpid()}"


def _one_thread(own_process: bool) -> AbstractContextManager[None]:
    if own_process and "torch" not in sys.modules:  # where torch is imported, it is told by the environment
        return nullcontext()
    from fishergauge.suites.one_thread import one_thread

    return one_thread()


def _result(cell: SweepCell) -> dict[str, Any]:
    module, _, name = cell.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    answer: dict[str, Any] = jsonable({"result": function(**dict(cell.settings))})
    if reason := answer.pop("result_reason", ""):
        raise ValueError(f"the result holds {reason} outside a dictionary, where JSON cannot say so: return a dictionary")
    json.dumps(answer, allow_nan=False)
    return {"verdict": "done", **answer}
