"""One backward pass of BackPACK on copies of a model and its loss, and which of its errors are refusals.

BackPACK documents that ``extend`` changes the module that it is given, and that a backward pass is one of one minibatch:
model and loss are copied, and several batches are handed over as one.
"""

import copy
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import default_dtype, own_model, quiet
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Subject

NAME = "backpack"
REFUSALS = (
    (NotImplementedError, ""),
    (ValueError, "Only 2D inputs are currently supported for MSELoss"),
    (ValueError, "Only linear or element-wise operations supported"),
    (AssertionError, "Might not work for exotic hyperparameters"),
    (AssertionError, "expects a backpropagation quantity but it is None"),
    (Exception, "symbolic tracing|symbolically traced"),  # by torch.fx, for the converter
)
"""Errors by which BackPACK says that something is not supported."""

Saved = dict[str, Any]


@dataclass(frozen=True)
class Pass:
    """A backward pass that was run: what was saved for each trained parameter, and the modules that own them."""

    problem: Problem
    model: nn.Module
    saved: Saved

    def owner(self, name: str) -> nn.Module:
        """The module of a parameter."""
        return self.model.get_submodule(name.rpartition(".")[0])


def peer(subject: Subject, promise: str, conversion: str = "") -> Peer:
    """A quantity of BackPACK."""
    return Peer(NAME, "backpack", subject, promise, conversion)


def made(extension: str, **options: Any) -> Callable[[], Any]:
    """What makes an extension of that name."""

    def make() -> Any:
        from backpack import extensions

        return getattr(extensions, extension)(**options)

    return make


def run(
    problem: Problem, extension: Callable[[], Any], converter: bool = False, own_dtype: bool = True, copied: bool = True
) -> Pass:
    """What an extension saves in the backward pass of the objective on all data.

    Args:
        problem: the problem.
        extension: makes the extension.
        converter: whether the model goes through BackPACK's converter.
        own_dtype: whether the default dtype is that of the problem meanwhile.
        copied: whether a copy of the model is extended, and not the model itself.

    Raises:
        NotImplementedError: BackPACK refuses, or warns that it leaves out a module with parameters.
    """
    from backpack import backpack, extend

    model, loss = own_model(problem) if copied else problem.model, copy.deepcopy(problem.loss)
    places = {name: model.get_parameter(name) for name in problem.parameters}
    with computing(problem, own_dtype), refusals():
        instance = extension()
        with heard() as said:
            extended = extend(model, use_converter=converter)
        if said:
            raise NotImplementedError(f"backpack warns: {said[0]}")
        with heard() as said, backpack(instance):
            extend(loss)(extended(problem.inputs), problem.targets).backward()
    missing = [name for name, parameter in places.items() if not hasattr(parameter, instance.savefield)]
    if missing and said:
        raise NotImplementedError(f"backpack warns: {said[0]}")
    return Pass(problem, extended, {name: getattr(parameter, instance.savefield) for name, parameter in places.items()})


@contextmanager
def computing(problem: Problem, own_dtype: bool = True) -> Iterator[None]:
    """Gradients on, and the dtype of the problem as the default; the random state is left to the library."""
    with default_dtype(problem) if own_dtype else quiet(), torch.enable_grad():
        yield


@contextmanager
def refusals() -> Iterator[None]:
    """Errors that are refusals as ``NotImplementedError``; others pass."""
    try:
        yield
    except Exception as error:
        if str(error).startswith(NAME):  # said above
            raise
        if any(isinstance(error, kind) and re.search(words, str(error)) for kind, words in REFUSALS):
            raise NotImplementedError(f"backpack refuses: {str(error) or type(error).__name__}") from error
        raise


@contextmanager
def heard() -> Iterator[list[str]]:
    """The warnings in which BackPACK says that it leaves a module out; others are warned of again."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            yield said
    for warning in caught:
        words = str(warning.message)
        if "does not have an extension for Module" in words or "may break second-order extensions" in words:
            said.append(words)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def joined(pass_: Pass, summed: bool = False) -> Tensor:
    """What was saved as one vector ``(P,)``; ``summed``: over the samples, which come first."""
    values = [value.detach() for value in pass_.saved.values()]
    return torch.cat([(value.sum(0) if summed else value).reshape(-1) for value in values])


def rows(pass_: Pass, axes: int) -> Tensor:
    """What was saved as a matrix of P columns; the first ``axes`` axes count the rows."""
    return torch.cat([value.detach().flatten(0, axes - 1).flatten(1) for value in pass_.saved.values()], 1)
