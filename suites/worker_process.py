"""What runs in a worker process: checks, one after another, with the streams and the signals of its own."""

import ctypes
import faulthandler
import io
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

import torch

from fishergauge.suites import guard
from fishergauge.suites.own_line import own_place

WHERE = getattr(signal, "SIGUSR1", signal.SIGTERM)
SPARING = 0.2
PR_SET_PDEATHSIG = 1
_DUMP = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)


class Message(NamedTuple):
    """What a worker tells its parent."""

    kind: Literal["begin", "result", "given-up", "defect", "alive", "idle"]
    position: int = -1
    content: Any = None


class _Line:
    """The connection to the parent; silent in a process that the code under test forked."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.connection, self.owner, self.last = connection, os.getpid(), 0.0

    def send(self, message: Message) -> None:
        if os.getpid() != self.owner:
            os._exit(0)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # no alarm in the middle of a message
        try:
            self.connection.send(message)
            self.last = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_line: _Line | None = None
_streams: list[object] = []


def heartbeat() -> None:
    """Tell the parent that this process is at work; nothing where there is none, or where it was told a moment ago."""
    if _line is not None and time.monotonic() - _line.last > SPARING:
        _line.send(Message("alive"))


def main(
    execute: Callable[[Any], Any],
    groups: Sequence[Sequence[Any]],
    connection: "Connection[Any, Any]",
    closed: Sequence["Connection[Any, Any]"],
    log: int,
) -> None:
    """Carry out orders until the parent has none or is gone; never returns.

    Args:
        execute: a check to its result.
        groups: of checks.
        connection: to the parent; receives orders ``(group, first)``, sends messages.
        closed: the parent's ends of connections, which are none of this process's business.
        log: a file for what is written to the standard streams.
    """
    global _line
    with suppress(BaseException):
        _line = _Line(connection)
        try:
            _be_alone(closed, log)
        except BaseException:
            _line.send(Message("defect", 0, traceback.format_exc()))
        guard.on_call = heartbeat
        while True:
            group, first = connection.recv()
            for position in range(first, len(groups[group])):
                os.ftruncate(log, 0)
                os.lseek(log, 0, os.SEEK_SET)
                _line.send(Message("begin", position))
                _report(_line, execute, groups[group][position], position)
            _line.send(Message("idle"))
    os._exit(1)


def _report(line: _Line, execute: Callable[[Any], Any], check: Any, position: int) -> None:
    """Execute one check and send what came of it."""
    try:
        line.send(Message("result", position, execute(check)))
    except KeyboardInterrupt:  # not the user's: this process ignores the keyboard
        line.send(Message("given-up", position, "it raised KeyboardInterrupt"))
    except BaseException:
        line.send(Message("defect", position, traceback.format_exc()))


def probe() -> None:
    """End with exit code 0 if torch works in a forked process."""
    code = 1
    with suppress(BaseException):
        torch.set_num_threads(1)
        square = torch.eye(64, requires_grad=True)
        torch.autograd.backward(torch.linalg.eigvalsh(square @ square).sum())
        code = 0
    os._exit(code)


def _be_alone(closed: Sequence["Connection[Any, Any]"], log: int) -> None:
    """Leave the parent's session, terminal, streams, signal handlers and threads."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # not to outlive the parent, even if it is killed
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, WHERE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: None)  # an alarm that comes late, when the guard has ended, rings for nobody
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for connection in closed:
        connection.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _streams.extend((sys.stdout, sys.stderr))  # kept, as they would write the parent's output once more when freed
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(log, number)
        raw = io.FileIO(number, "w", closefd=False)
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "replace", line_buffering=True))
    faulthandler.enable(log, all_threads=False)
    faulthandler.register(WHERE, log, all_threads=False)
    torch.set_num_threads(1)


def line_in(log: bytes) -> str:
    """The innermost line of the code under test in what faulthandler wrote last; empty where there is none."""
    text = log.decode("utf-8", "replace").rpartition("most recent call first")[2]
    return own_place([(file, int(line), name) for file, line, name in _DUMP.findall(text)][::-1])
