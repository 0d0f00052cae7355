"""The ranks of a group of processes, and what they exchange: every collective has a time limit and says where it stopped."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from fishergauge.reference.errors import ProblemError

T = TypeVar("T")
SECONDS = 60.0
REMEDY = (
    "Every rank must reach the same collectives in the same order, a rank without data too: look for one that raised or "
    "returned early; if ranks are only slow, raise seconds= and the time-out of the group"
)


class RankError(RuntimeError):
    """A collective did not come about; the message names the rank, the collective and what to do."""


class Ranks:
    """The processes of a group of ``torch.distributed``: gloo on the CPU, nccl on CUDA devices, whatever the group has.

    Args:
        group: of processes; by default the default group, or this process alone where none is initialised.
        seconds: that a collective may take.

    Raises:
        ProblemError: this process does not belong to the group.

    Example:
        >>> alone = Ranks()
        >>> alone.rank, alone.size, alone.total(torch.ones(2), "ones")
        (0, 1, tensor([1., 1.]))
    """

    def __init__(self, group: distributed.ProcessGroup | None = None, seconds: float = SECONDS) -> None:
        self.group, self.seconds = group, seconds
        self.joined = group is not None or (distributed.is_available() and distributed.is_initialized())
        self.rank = distributed.get_rank(group) if self.joined else 0
        self.size = distributed.get_world_size(group) if self.joined else 1
        if self.rank < 0:
            raise ProblemError("this process does not belong to the group; only its members take part")

    def total(self, tensor: Tensor, what: str) -> Tensor:
        """The sum over the ranks, the same on each of them; ``tensor`` stays as it is.

        Args:
            tensor: of one shape and dtype on all ranks.
            what: it is, for messages.

        Raises:
            RankError: it took too long, or another rank is gone.
        """
        if not self.joined:
            return tensor.clone()
        result = tensor.clone(memory_format=torch.contiguous_format)
        self._waited(lambda: distributed.all_reduce(result, group=self.group, async_op=True), f"all_reduce of {what}")
        return result

    def gathered(self, tensor: Tensor, what: str) -> list[Tensor]:
        """The tensor of each rank, in the order of the ranks.

        Args:
            tensor: of one shape and dtype on all ranks.
            what: it is, for messages.

        Raises:
            RankError: as :meth:`total`.
        """
        if not self.joined:
            return [tensor]
        parts, own = [torch.empty_like(tensor) for _ in range(self.size)], tensor.contiguous()
        self._waited(lambda: distributed.all_gather(parts, own, group=self.group, async_op=True), f"all_gather of {what}")
        return parts

    def made(self, make: Callable[[], T], what: str, device: torch.device) -> T:
        """What each rank makes for itself; where one of them fails, all do, and none waits for it.

        Args:
            make: this rank's part.
            what: it is, for messages.
            device: for the exchange.

        Raises:
            RankError: another rank failed; the one that did raises its own error.
        """
        failure: Exception | None = None
        value: T | None = None
        try:
            value = make()
        except Exception as error:
            failure = error
        flags = self.gathered(torch.tensor([failure is not None], dtype=torch.uint8, device=device), f"who made {what}")
        if failure is not None:
            raise failure
        failed = [rank for rank, flag in enumerate(flags) if bool(flag)]
        if failed:
            named = ", ".join(map(str, failed))
            raise RankError(f"{self}: rank {named} could not make {what}; its own error and traceback say why")
        return value  # type: ignore[return-value]

    def agree(self, facts: Mapping[str, object], device: torch.device) -> None:
        """Refuse ranks that are not at the same thing.

        Args:
            facts: by name; compared by their representations.
            device: for the exchange.

        Raises:
            ProblemError: on every rank, if a fact differs between any two.
            RankError: as :meth:`total`.
        """
        digests = torch.tensor([_digest(fact) for fact in facts.values()], dtype=torch.int64, device=device)
        everybody = torch.stack(self.gathered(digests, "what the ranks must agree on"))
        for name, column in zip(facts, everybody.T, strict=True):
            others = (column != column[0]).nonzero()[:, 0].tolist()
            if others:
                named = ", ".join(map(str, others))
                raise ProblemError(
                    f"the ranks differ in {name}: rank {named} from rank 0; one matrix has one. Bring them together"
                )

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"

    def _waited(self, start: Callable[[], "distributed.Work | None"], what: str) -> None:
        """Start a collective and wait for its end."""
        begun = time.monotonic()
        try:
            work = start()
            if work is not None and work.wait(timedelta(seconds=self.seconds)) is False:
                raise RuntimeError("it did not end")
        except RuntimeError as error:
            said = re.sub(r"^\[[^]]*\] *", "", str(error).strip()).partition("\n")[0]  # a place in the code of gloo
            reason = said.rstrip(".") or type(error).__name__
            after = time.monotonic() - begun
            raise RankError(f"{self}: {what} was given up after {after:.3g} s: {reason}. {REMEDY}") from error


def _digest(fact: object) -> int:
    """A number of 63 bits, which hardly any other fact shares."""
    content = fact.detach().cpu().contiguous().numpy().tobytes() if isinstance(fact, Tensor) else repr(fact).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1
