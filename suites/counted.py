"""Counted cost: floating-point operations, operations dispatched, bytes held. Exact and repeatable, unlike time."""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fishergauge.suites.flop_counter import FlopCounter


@dataclass
class Counts:
    """What a block of code did.

    Args:
        operations: tensor operations dispatched.
        flops: in matrix products and convolutions.
        largest_array: bytes of the largest storage created.
        peak_bytes: most bytes of created storages alive at once; the inner workspace of an operator is not seen.
    """

    operations: int = 0
    flops: int = 0
    largest_array: int = 0
    peak_bytes: int = 0


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operations create until they are freed."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts
        self.alive: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        self.counts.operations += 1
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in given:
                self._follow(leaf)
        return result

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self.alive:
            return
        self.alive[key] = storage.nbytes()
        weakref.finalize(storage, self.alive.pop, key, None)
        self.counts.largest_array = max(self.counts.largest_array, storage.nbytes())
        self.counts.peak_bytes = max(self.counts.peak_bytes, sum(self.alive.values()))


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what the block does; the counts are complete when it ends.

    Example:
        >>> import torch
        >>> with counted() as counts:
        ...     product = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counts.flops, counts.largest_array
        (48, 48)
    """
    counts = Counts()
    with FlopCounter() as flops, _Tally(counts):
        yield counts
    counts.flops = flops.get_total_flops()
