"""What the adapters of other libraries share: a model of their own, the refusals, and the settings under which they compute."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.of_reference import LARGEST_ARRAY, too_large
from fishergauge.suites.benchmarks.task import Operation, Task

Refusal = Callable[[Problem], str | None]
P = ParamSpec("P")
T = TypeVar("T")

KNOWN = (
    ("`torch.jit.script` is deprecated", DeprecationWarning),  # by forward mode in torch itself, and by einconv
    ("Attempted to insert a get_attr Node", UserWarning),  # torch.func.linearize
    ("Using a non-full backward hook", FutureWarning),  # asdl
    ("Full backward hook is firing when gradients", UserWarning),  # BackPACK
)


@dataclass(frozen=True)
class Peer:
    """Makes the implementations of a library.

    Args:
        library: its name.
        module: what must be importable.
    """

    library: str
    module: str

    def __call__(
        self,
        quantity: str,
        operation: Operation,
        prepare: Callable[[Problem], Call],
        refuses: Refusal,
        variant: str = "",
        canonical: Callable[[Problem, Any], Tensor] = flattened,
    ) -> Implementation:
        """One of them; the variant stands behind a colon in its name."""
        name = f"{self.library}:{variant}" if variant else self.library
        return Implementation(name, "peer", Task(quantity, operation), prepare, canonical, refuses, (self.module,))


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
def settings_of(problem: Problem) -> Iterator[None]:
    """The problem's dtype as the default, and random states of its own; both put back however it ends.

    Some libraries make arrays of the default dtype; BackPACK makes modules, which draw their initial values, and a loader of
    data draws a seed.

    Example:
        >>> problem = Problem(nn.Linear(1, 1).double(), nn.MSELoss(), [(torch.ones(4, 1).double(), torch.zeros(4, 1).double())])
        >>> with settings_of(problem):
        ...     torch.ones(1).dtype
        torch.float64
        >>> torch.ones(1).dtype
        torch.float32
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(problem.dtype)
    try:
        with quiet(), torch.random.fork_rng([problem.device] if problem.device.type == "cuda" else []):
            yield
    finally:
        torch.set_default_dtype(before)


def under(problem: Problem, function: Callable[P, T]) -> Callable[P, T]:
    """A function that computes under :func:`settings_of` a problem."""

    def called(*args: P.args, **keywords: P.kwargs) -> T:
        with settings_of(problem):
            return function(*args, **keywords)

    return called


def either(*refusals: Refusal) -> Refusal:
    """The first reason among several, or None."""
    return lambda problem: next((reason for refuses in refusals if (reason := refuses(problem)) is not None), None)


def not_classification(problem: Problem) -> str | None:
    """Why a problem is no plain classification with one label a sample under ``mean``, or None if it is."""
    loss = problem.loss
    if not isinstance(loss, nn.CrossEntropyLoss) or loss.weight is not None or loss.label_smoothing:
        return "adapted for cross-entropy without weights and smoothing"
    if loss.reduction != "mean" or problem.outputs.ndim != 2 or problem.targets.ndim != 1:
        return "adapted for the mean over one label a sample"
    return "some labels are masked" if bool((problem.targets == loss.ignore_index).any()) else None


def not_layered(problem: Problem) -> str | None:
    """Why the parameters do not all belong to ``Linear`` and plain ``Conv2d``, or None if they do."""
    for module in problem.model.modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        plain = type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1 and module.dilation == (1, 1))
        if own and not plain:
            return f"a {type(module).__name__} is not covered"
    shared = len(trained(problem.model)) != len(list(problem.model.named_parameters(remove_duplicate=False)))
    return "parameters are tied or frozen" if shared else None


def too_many_rows(problem: Problem) -> str | None:
    """Why the gradients of the samples, ``(N, P)``, take too much memory, or None."""
    return _refused(problem.num_samples, problem)


def jacobian_too_large(problem: Problem) -> str | None:
    """Why the Jacobian of the outputs, ``(N, C, P)``, takes too much memory, or None."""
    return _refused(problem.outputs.numel(), problem)


def _refused(rows: int, problem: Problem) -> str | None:
    size = rows * problem.num_parameters * problem.dtype.itemsize
    return f"it keeps {rows} gradients, {size / 2**30:.1f} GiB" if size > LARGEST_ARRAY else None


matrix_too_large: Refusal = too_large
