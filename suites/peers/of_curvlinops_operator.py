"""curvlinops as a library under test: how its operators are made, and what it refuses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import quiet, trained
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Structure, Subject, Target

NAME = "curvlinops"
REFUSALS = {
    NotImplementedError: (
        "Found parameters in un-supported layers",  # K-FAC: layers other than Linear and Conv2d
        "Only binary targets",  # soft targets with binary cross-entropy
        "Unequal padding not supported",
        "Loss must be one of",
    ),
    ValueError: (
        "Only 2d output and 1d/2d target are supported for EKFAC",
        "Invalid loss",
        "Modules with multiple inputs are not supported",
    ),
}
"""What it documents as unsupported (docstrings of the classes and under "Raises"), by the type and the message of its error."""
Build = Callable[..., Any]


def made(
    name: str, build: Build, target: Target, structure: Structure, promise: str, conversion: str = "", **declared: Any
) -> Peer:
    """A peer of this library."""
    return Peer(NAME, NAME, Subject(f"{NAME}/{name}", build, target, structure, **declared), promise, conversion)


def library() -> Any:
    """The module, imported when it is first needed."""
    with quiet():
        import curvlinops
    return curvlinops


@contextmanager
def refusals() -> Iterator[None]:
    """Documented refusals as ``NotImplementedError``; every other error passes."""
    with quiet():
        try:
            yield
        except tuple(REFUSALS) as error:
            if str(error).startswith("curvlinops refuses"):
                raise
            known = [message for kind, messages in REFUSALS.items() if isinstance(error, kind) for message in messages]
            if any(message in str(error) for message in known):
                raise NotImplementedError(f"curvlinops refuses: {error}") from error
            raise


def operator(kind: str, problem: Problem, **options: Any) -> Any:
    """An operator as its docstring says: model, loss, parameters, list of batches."""
    with refusals():
        model = problem.model
        return getattr(library(), kind)(model, problem.loss, trained(model), list(problem.batches), **options)


def seed_from(generator: torch.Generator) -> int:
    """A seed for the library, which takes no generator."""
    return int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
