"""A function on several ranks: what comes back, and what of the ranks that fail."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from fishergauge.reference import UndefinedError
from fishergauge.suites import ranks
from fishergauge.suites.ranks import RankOutcome, RanksFailed, first_to_fail, in_ranks, run_ranks, why_no_ranks

Group = distributed.ProcessGroup


def summed(rank: int, group: Group) -> list[float]:
    """What all have together."""
    total = torch.tensor([float(rank + 1)])
    distributed.all_reduce(total, group=group)
    return [float(total), distributed.get_world_size(group), torch.get_num_threads()]


def without_first(act: Callable[[], object]) -> Callable[[int, Group], Any]:
    """A collective of all ranks but the first, which does something else."""

    def function(rank: int, group: Group) -> Any:
        return act() if rank == 0 else summed(rank, group)

    return function


def failing() -> None:
    raise ValueError("no such layer")


def refusing() -> None:
    raise NotImplementedError("not on ranks")


def undefined() -> None:
    raise UndefinedError("no Fisher here")


def asleep() -> None:
    while True:
        time.sleep(0.01)


def deaf() -> None:
    """Does not react to an alarm."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    asleep()


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_form_a_group_on_one_thread_each(world: int) -> None:
    assert in_ranks(summed, world) == world * [[world * (world + 1) / 2, world, 1]]


def test_nothing_is_left_behind_in_this_process_or_of_the_others() -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    processes = in_ranks(lambda rank, group: (os.getpid(), os.environ["GLOO_SOCKET_IFNAME"]), 2)
    assert not distributed.is_initialized()
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)
    for process, _ in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        (failing, "error", "meta/test_ranks.py:"),
        (refusing, "unsupported", "NotImplementedError: not on ranks"),
        (undefined, "undefined", "UndefinedError: no Fisher here"),
        (lambda: os._exit(3), "error", "the process ended with exit code 3, without a word"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "error", "the process ended with exit code -9"),
        (asleep, "timeout", "in asleep)"),
        (lambda: lambda: None, "error", "what it returned cannot be sent"),
    ],
)
def test_a_rank_that_fails_is_told_from_those_that_wait_for_it(act: Callable[[], object], kind: str, reason: str) -> None:
    outcomes = run_ranks(without_first(act), 2, limit=0.5)
    first, second = first_to_fail(outcomes)
    assert (first.rank, second.rank) == (0, 1)
    assert first.failure is not None
    assert first.failure.kind == kind
    assert reason in first.failure.reason
    assert not first.waited
    assert second.waited
    assert second.failure is not None
    assert second.failure.kind == "timeout"
    assert "all_reduce" in second.trace


def test_a_rank_that_returns_early_leaves_the_others_to_their_limit_and_not_for_ever() -> None:
    started = time.monotonic()
    first, second = run_ranks(without_first(lambda: "through"), 2, limit=0.5)
    assert first == RankOutcome(0, "through", seconds=first.seconds)
    assert second.waited
    assert second.failure is not None
    assert "Timed out waiting 500ms" in second.failure.reason
    assert 0.5 <= second.seconds < time.monotonic() - started


def test_one_that_does_not_react_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "GRACE", 0.5)
    (outcome,) = run_ranks(without_first(deaf), 1, limit=0.5, patience=0.5)
    assert outcome.failure is not None
    assert outcome.failure.reason == "stopped after 1 s: it does not react"


def test_the_message_has_the_traceback_of_each_rank_the_cause_first() -> None:
    with pytest.raises(RanksFailed) as raised:
        in_ranks(without_first(failing), 2, limit=0.5)
    message = str(raised.value)
    assert message.startswith("rank 0: ValueError: no such layer")
    assert message.index('raise ValueError("no such layer")') < message.index("rank 1: RuntimeError: ")
    assert message.count("Traceback (most recent call last)") == 2


def test_there_is_at_least_one_rank() -> None:
    with pytest.raises(ValueError, match="at least one rank, not 0"):
        run_ranks(summed, 0)


def test_a_process_of_a_group_starts_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_ranks() == ""
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    with pytest.raises(RuntimeError, match="no ranks can be started here: this process belongs to a process group"):
        run_ranks(summed, 1)
    monkeypatch.setattr(distributed, "is_gloo_available", lambda: False)
    assert "no gloo" in why_no_ranks()


def test_what_it_gives_may_be_a_tensor() -> None:
    (value,) = in_ranks(lambda rank, group: torch.eye(2), 1)
    assert isinstance(value, Tensor)
    assert torch.equal(value, torch.eye(2))
