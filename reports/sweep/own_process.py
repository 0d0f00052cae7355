"""A process of its own for one cell after another; one that dies takes the cell that it has with it, and no other."""

import os
import re
import signal
import threading
import time
from concurrent.futures import Future
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.computation import answer_without_keyboard, question_of

IDLE = 300.0
"""Seconds after which a process that has nothing to do ends."""
GLANCE = 0.2
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class OwnProcess:
    """A process that is started for the first cell, kept for the next ones of the same group, and made anew when it has died.

    It is an executor of joblib's loky with one worker, so that it is always known which cell a process had when it died.
    """

    def __init__(self) -> None:
        self.group = ""
        self._executor: Any = None

    def begin(self, cell: SweepCell) -> "Future[str]":
        """Begin a cell; the one before must have ended.

        Args:
            cell: to compute.

        Returns:
            The answer of :func:`~fishergauge.reports.sweep.computation.answer_to`; an exception of it: the process has died.
        """
        return self.ask(question_of(cell), cell.group)

    def ask(self, question: str, group: str) -> "Future[str]":
        """As :meth:`begin`, the cell given as text."""
        if self._executor is not None and group != self.group:
            self.end()
        if self._executor is None:
            loky = require("joblib.externals.loky")
            self.group = group
            self._executor = loky.ProcessPoolExecutor(
                1, timeout=IDLE, initializer=live_with_parent, initargs=(os.getpid(),), env=ONE_THREAD
            )
        future: Future[str] = self._executor.submit(answer_without_keyboard, question)
        return future

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._executor is not None:
            executor, self._executor = self._executor, None
            executor.shutdown(wait=True, kill_workers=True)


def live_with_parent(parent: int) -> None:
    """Ignore the keyboard, which interrupts the parent, and end when the parent does, however it ends.

    Args:
        parent: its number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def how_it_died(error: BaseException) -> str:
    """How a process ended, from what loky says of it; a few words."""
    found = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    return found[1] if found else type(error).__name__


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(GLANCE)
    os._exit(1)
