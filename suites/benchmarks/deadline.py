"""An end to a call that takes too long."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Expired(BaseException):
    """Time is up; no ``Exception``, so that the call that is interrupted does not handle it as an error of its own."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Call a function, and interrupt it when its time is up.

    It is interrupted between two steps of Python: one long operation of torch ends first. Where there is no timer, on Windows
    and outside the main thread, the call has all the time it takes.

    Args:
        seconds: wall time.
        call: the function.

    Returns:
        What the call returns.

    Raises:
        Expired: the time was up, whatever else the interrupted call raised because of it.

    Example:
        >>> within(60.0, lambda: 7)
        7
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return call()
    expired = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal expired
        expired = True
        raise Expired

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    except Exception:
        if expired:  # a library has made it an error of its own
            raise Expired from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
