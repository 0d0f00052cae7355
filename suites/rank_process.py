"""What runs in the process of one rank: the group is joined, the function called, and what came of it sent."""

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from fishergauge.reference import UndefinedError
from fishergauge.reference.distributed_ranks import RankError
from fishergauge.suites import guard
from fishergauge.suites.alarm import Alarm, Interrupted
from fishergauge.suites.guard import Failure, Kind
from fishergauge.suites.own_line import own_line, reason_of
from fishergauge.suites.worker_process import PR_SET_PDEATHSIG

WAITED = ("Timed out", "timed out", "Connection closed", "Connection reset", "Broken pipe", "ranks waited")


@dataclass(frozen=True)
class RankOutcome:
    """What became of a rank.

    Args:
        rank: in the group.
        value: what the function returned.
        failure: why it returned nothing; None if it did.
        trace: the traceback of what it raised.
        seconds: from its start to its end.
        waited: whether it failed in a collective, as another rank did not come or was gone.
    """

    rank: int
    value: Any = None
    failure: Failure | None = None
    trace: str = ""
    seconds: float = 0.0
    waited: bool = False


def main(
    function: Callable[[int, distributed.ProcessGroup], Any],
    rank: int,
    world: int,
    rendezvous: Path,
    limit: float,
    patience: float,
    connection: "Connection[Any, Any]",
    closed: Sequence["Connection[Any, Any]"],
    parent: int,
) -> None:
    """Be a rank; never returns.

    Args:
        function: called as ``function(rank, group)``.
        rank: of this process.
        world: number of ranks.
        rendezvous: a file that does not exist yet, in a folder that does.
        limit: seconds that a collective may take.
        patience: seconds that all may take.
        connection: to the parent; takes one :class:`RankOutcome`.
        closed: the parent's ends of connections, which are none of this process's business.
        parent: its process.
    """
    with suppress(BaseException):
        _be_alone(closed, parent)
        outcome = _outcome(function, rank, world, rendezvous, limit, patience)
        try:
            connection.send(outcome)
        except Exception as error:  # it cannot be pickled
            failure = Failure("error", f"what it returned cannot be sent: {reason_of(error)}")
            connection.send(RankOutcome(rank, failure=failure, seconds=outcome.seconds))
        connection.poll(None)  # until the parent has heard all ranks and closes the connection
    os._exit(0)


def _outcome(
    function: Callable[[int, distributed.ProcessGroup], Any],
    rank: int,
    world: int,
    rendezvous: Path,
    limit: float,
    patience: float,
) -> RankOutcome:
    """Join the group and call the function."""
    started = time.monotonic()
    try:
        with Alarm(patience):
            place, time_out = rendezvous.as_uri(), timedelta(seconds=limit)
            distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=world, timeout=time_out)
            world_group = distributed.group.WORLD
            assert world_group is not None  # just initialised
            value = function(rank, world_group)
    except BaseException as error:
        return failed(rank, error, time.monotonic() - started)
    return RankOutcome(rank, value, seconds=time.monotonic() - started)


def failed(rank: int, error: BaseException, seconds: float) -> RankOutcome:
    """What became of a rank that raised.

    Args:
        rank: in the group.
        error: that it raised.
        seconds: after which it did.
    """
    stopped = f"stopped after {seconds:.3g} s{own_line(error.__traceback__)}"
    failure = Failure(_kind(error), stopped if isinstance(error, Interrupted) else reason_of(error))
    trace = "".join(traceback.format_exception(error))
    return RankOutcome(rank, None, failure, trace, seconds, _waited(error))


def _kind(error: BaseException) -> Kind:
    """How a failure is called."""
    if isinstance(error, NotImplementedError):
        return "unsupported"
    if isinstance(error, UndefinedError):
        return "undefined"
    return "timeout" if isinstance(error, Interrupted) or _waited(error) else "error"


def _waited(error: BaseException) -> bool:
    """Whether a collective failed for the sake of another rank: it did not come, or is gone."""
    if isinstance(error, RankError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in WAITED)


def _be_alone(closed: Sequence["Connection[Any, Any]"], parent: int) -> None:
    """Leave the parent's streams, signal handlers, connections and threads; end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for kind in (signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(kind, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
    for connection in closed:
        connection.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    guard.on_call = None  # the sign of life is the parent's to give
    if "GLOO_SOCKET_IFNAME" not in os.environ:  # all ranks are on this machine: no name of it need be known
        os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    torch.set_num_threads(1)
