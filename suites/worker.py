"""A worker process as its parent sees it: what it does, what it says, how it ended."""

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.context import ForkProcess
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from fishergauge.suites import worker_process
from fishergauge.suites.worker_process import Message


class Order(NamedTuple):
    """A group of checks from some position on."""

    group: int
    first: int


def forked(target: Callable[..., object], *args: object) -> ForkProcess:
    """A forked process, started; an interrupt from the keyboard is held back until it can ignore it."""
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the probe tells
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return process


class Worker:
    """A forked process, the connection to it, and what it does."""

    def __init__(self, execute: Callable[[Any], Any], groups: Sequence[Sequence[Any]], others: "Sequence[Worker]") -> None:
        self.connection, end = multiprocessing.Pipe()
        self.log: IO[bytes] = TemporaryFile()  # noqa: SIM115  closed with the worker
        self.order = Order(0, 0)
        self.begun = False
        self.heard = time.monotonic()
        self.deaf = False
        closed = [self.connection, *(worker.connection for worker in others)]
        try:
            self.process = forked(worker_process.main, execute, groups, end, closed, self.log.fileno())
        finally:
            end.close()

    def send(self, order: Order) -> None:
        """Give it work; one that has died meanwhile is found out later."""
        self.order, self.begun, self.heard = order, False, time.monotonic()
        with suppress(OSError):
            self.connection.send(order)

    def messages(self) -> Iterator[Message]:
        """What it has to say at present; ends at the end of the connection."""
        while not self.deaf:
            try:
                if not self.connection.poll():
                    return
                message: Message = self.connection.recv()
            except (EOFError, OSError):
                self.deaf = True
                return
            self.heard = time.monotonic()
            yield message

    def where(self) -> str:
        """The innermost line in its log at which it was, where it said so."""
        size, most = os.fstat(self.log.fileno()).st_size, 1 << 16
        return worker_process.line_in(os.pread(self.log.fileno(), most, max(0, size - most)))

    def fate(self) -> str:
        """How it ended, or is to be ended, as nothing can be heard from it any more."""
        patience = time.monotonic() + 1
        while (code := self.process.exitcode) is None and time.monotonic() < patience:
            time.sleep(0.01)  # to join it could take for ever: it is the end of a connection, too, that is waited for
        if code is None:
            return "it closed the connection to the process that started it"
        if code >= 0:
            return f"the process ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        hint = " (out of memory, perhaps)" if name == "SIGKILL" else ""
        return f"the process was killed by signal {name}{hint}"

    def point_out(self) -> None:
        """Make it write down where it is, and wait a moment until it has."""
        before = os.fstat(self.log.fileno()).st_size
        with suppress(OSError):
            os.kill(self.process.pid or 0, worker_process.WHERE)
            patience = time.monotonic() + 5  # of a machine under load; it waits no longer than it must
            while os.fstat(self.log.fileno()).st_size == before and time.monotonic() < patience:
                time.sleep(0.01)
            size = before  # it writes piece by piece: wait for the last one
            while (now := os.fstat(self.log.fileno()).st_size) != size and time.monotonic() < patience:
                size = now
                time.sleep(0.1)
            time.sleep(0.02)

    def kill(self) -> None:
        """End it and the processes that it started, and free what it held."""
        pid = self.process.pid
        if pid is not None:
            for end in (os.kill, os.killpg):
                with suppress(OSError):
                    end(pid, signal.SIGKILL)
            self.process.join()
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        self.process.close()
        self.connection.close()
        self.log.close()
