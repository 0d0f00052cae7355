"""A limit of time for code of others: an alarm that raises in the main thread, and leaves the alarms of others as they were."""

import math
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

REPEAT = 0.5
LEAST = 1e-3


class Interrupted(BaseException):
    """The alarm rang. Not an ``Exception``, so that ``except Exception`` does not swallow it."""


class Alarm:
    """Raises :class:`Interrupted` in the code of the context once ``limit`` seconds have passed, and again every half second.

    An alarm that was set before, by a test runner for instance, is served while the context lasts and goes on with the
    time that it has left; alarms can be nested. Where Python cannot interrupt (outside the main thread, on Windows,
    within one long call of compiled code) nothing is raised; only a process of its own helps there
    (:mod:`fishergauge.suites.workers`).

    Args:
        limit: seconds.

    Attributes:
        foreign: what the handler of an earlier alarm raised; it is not the doing of the code in the context.
        tampered: whether the code changed the handler, stopped the clock or blocked the signal.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.foreign: BaseException | None = None
        self.tampered = False
        self._over = True
        self._possible = (
            hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread() and 0 < limit < math.inf
        )

    def __enter__(self) -> "Alarm":
        if self._possible:
            now = time.monotonic()
            self._deadline = now + self.limit
            self._blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
            left, self._interval = signal.setitimer(signal.ITIMER_REAL, 0)
            self._before_due = now + left if left else math.inf
            self._before: Any = signal.signal(signal.SIGALRM, self._ring)
            self._mine = signal.getsignal(signal.SIGALRM)
            self._over = False
            signal.setitimer(signal.ITIMER_REAL, max(min(self.limit, left) if left else self.limit, LEAST), REPEAT)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._over = True
        except BaseException:  # it rang just here
            self._over = True
        if not self._possible:
            return
        repeat = signal.setitimer(signal.ITIMER_REAL, 0)[1]
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])  # one that waits rings here, for nobody
        self.tampered = (
            signal.SIGALRM in mask or signal.getsignal(signal.SIGALRM) is not self._mine or abs(repeat - REPEAT) > LEAST
        )
        signal.signal(signal.SIGALRM, self._before if self._before is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        if self._before_due < math.inf:
            left = max(self._before_due - time.monotonic(), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left, self._interval)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._over:
            return
        now = time.monotonic()
        if now >= self._before_due:
            self._before_due = now + self._interval if self._interval else math.inf
            if callable(self._before):
                try:
                    self._before(number, frame)
                except BaseException as error:
                    self.foreign = error
                    raise
        if now >= self._deadline:
            raise Interrupted
