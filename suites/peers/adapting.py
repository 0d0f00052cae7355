"""What adapters of other libraries share: a model of their own, vectors as parameters, settings under which they compute."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem

P = ParamSpec("P")
T = TypeVar("T")

KNOWN = (
    ("`torch.jit.script` is deprecated", DeprecationWarning),  # by forward mode in torch itself, and by einconv
    ("Attempted to insert a get_attr Node", UserWarning),  # torch.func.linearize
    ("Using a non-full backward hook", FutureWarning),  # asdl
    ("`torch.cuda.amp.GradScaler", FutureWarning),  # kronfluence
    ("Full backward hook is firing when gradients", UserWarning),  # BackPACK
)


def own_model(problem: Problem) -> nn.Module:
    """A copy of the model: hooks and attributes of a library stay on it."""
    return copy.deepcopy(problem.model)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require gradients, in the order of ``named_parameters``."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def shaped(vector: Tensor, model: nn.Module) -> list[Tensor]:
    """A vector ``(P,)`` in pieces shaped like the trained parameters."""
    parameters = trained(model)
    pieces = torch.split(vector, [parameter.numel() for parameter in parameters])
    return [piece.view_as(parameter) for piece, parameter in zip(pieces, parameters, strict=True)]


def joined(pieces: "list[Tensor] | tuple[Tensor, ...]") -> Tensor:
    """Pieces shaped like the parameters as one vector ``(P,)``."""
    return torch.cat([piece.detach().reshape(-1) for piece in pieces])


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that a library provokes at every use and that its user can do nothing about."""
    with warnings.catch_warnings():
        for message, category in KNOWN:
            warnings.filterwarnings("ignore", message, category)
        yield


@contextmanager
def default_dtype(problem: Problem) -> Iterator[None]:
    """The problem's dtype as torch's default, put back however it ends; random states are left to the library.

    Some libraries make arrays of the default dtype.

    Example:
        >>> problem = Problem(nn.Linear(1, 1).double(), nn.MSELoss(), [(torch.ones(4, 1).double(), torch.zeros(4, 1).double())])
        >>> with default_dtype(problem):
        ...     torch.ones(1).dtype
        torch.float64
        >>> torch.ones(1).dtype
        torch.float32
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(problem.dtype)
    try:
        with quiet():
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def settings_of(problem: Problem) -> Iterator[None]:
    """The problem's dtype as the default, and random states of its own; both put back however it ends.

    BackPACK makes modules, which draw their initial values, and a loader of data draws a seed.
    """
    with default_dtype(problem), torch.random.fork_rng([problem.device] if problem.device.type == "cuda" else []):
        yield


def under(problem: Problem, function: Callable[P, T]) -> Callable[P, T]:
    """A function that computes under :func:`settings_of` a problem."""

    def called(*args: P.args, **keywords: P.kwargs) -> T:
        with settings_of(problem):
            return function(*args, **keywords)

    return called
