"""One way to do a task, as it is verified and timed."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.task import Task

Kind = Literal["reference", "backpack", "notebook", "peer", "subject"]
Call = Callable[[], Any]


def flattened(_: Problem, result: Any) -> Tensor:
    """A result as one vector: a tensor, or tensors in mappings and sequences, in their order."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in _leaves(result)])


def _leaves(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _leaves(value)
    elif isinstance(result, Sequence) and not isinstance(result, str | bytes):  # whose parts are of their own kind
        for value in result:
            yield from _leaves(value)
    else:
        raise TypeError(f"a result is made of tensors, not of {type(result).__name__}")


@dataclass(frozen=True, eq=False)
class Implementation:
    """One way to do a task.

    Args:
        name: of the library, algorithm or subject; a variant behind a colon, as in ``curvlinops:make_fx``.
        kind: whose it is.
        task: what is done.
        prepare: from a problem to the call that is verified and timed. What a user of the library does once for a model
            (copies, wrappers, hooks) belongs into ``prepare``; the call begins and ends where
            :data:`~fishergauge.suites.benchmarks.task.MEANINGS` says, and gives the same result each time.
        canonical: the result in the form in which implementations of a task are compared, one vector.
        refuses: why a problem is beyond it, or None.
        requires: modules that must be importable.
    """

    name: str
    kind: Kind
    task: Task
    prepare: Callable[[Problem], Call]
    canonical: Callable[[Problem, Any], Tensor] = flattened
    refuses: Callable[[Problem], str | None] = lambda problem: None
    requires: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        absent = [module for module in self.requires if importlib.util.find_spec(module) is None]
        return f"not installed: {', '.join(absent)}" if absent else None
