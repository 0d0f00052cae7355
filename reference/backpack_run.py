"""Running an extension of BackPACK on a copy of a problem, leaving no trace."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from backpack import backpack, extend
from backpack.context import CTX
from backpack.extensions.backprop_extension import BackpropExtension

from fishergauge.reference.backpack_support import require_support
from fishergauge.reference.errors import UndefinedError, UnsupportedError
from fishergauge.reference.problem import Problem

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, AssertionError, IndexError, KeyError)


def saved_quantities(problem: Problem, extension: BackpropExtension, seed: int = 0) -> dict[str, Any]:
    """What an extension saves for each parameter in one backward pass of the objective.

    All batches are evaluated as one, so that the pass differentiates the objective itself, its reduction
    included. The model and the loss are copied, since BackPACK leaves hooks on what it extends.

    Args:
        problem: the problem.
        extension: a fresh instance of an extension of BackPACK.
        seed: of the global generator while BackPACK draws from it; its state is restored afterwards.

    Returns:
        The saved values by parameter, in the order of ``problem.parameters``.

    Raises:
        UnsupportedError: the extension does not support the problem, by this package's or BackPACK's own account.
    """
    return Extended(problem, extension).saved(seed)


class Extended:
    """A copy of model and loss with the hooks of BackPACK, made once for any number of backward passes.

    Args:
        problem: the problem.
        extension: an instance of an extension of BackPACK.

    Raises:
        UnsupportedError: this package knows that the extension does not support the problem.
    """

    def __init__(self, problem: Problem, extension: BackpropExtension) -> None:
        require_support(problem, extension)
        self.problem, self.extension = problem, extension
        self.model, self.loss = copy.deepcopy(problem.model), copy.deepcopy(problem.loss)
        self.inputs, self.targets = problem.inputs.detach().clone(), problem.targets.detach().clone()
        handles = len(CTX.hook_handles)
        extend(self.model), extend(self.loss)
        del CTX.hook_handles[handles:]  # hooks of these copies, which end with them
        self.parameters = dict(self.model.named_parameters())

    def saved(self, seed: int = 0) -> dict[str, Any]:
        """As :func:`saved_quantities`: what one backward pass saves."""
        try:
            with _traceless(self.problem, seed), backpack(self.extension):
                self.loss(self.model(self.inputs), self.targets).backward()
            return {name: self._taken(name) for name in self.problem.parameters}
        except torch.OutOfMemoryError:
            raise
        except FAILURES as error:  # NotImplementedError is a RuntimeError
            name = type(self.extension).__name__
            raise UnsupportedError(f"BackPACK's {name} does not support {self.problem.name}: {error}") from error

    def _taken(self, name: str) -> Any:
        """A saved value, which the parameter does not keep, nor its gradient."""
        parameter = self.parameters[name]
        value = getattr(parameter, self.extension.savefield)
        delattr(parameter, self.extension.savefield)
        parameter.grad = None
        return value


def drawn_seed(samples: int, generator: torch.Generator) -> int:
    """A seed for BackPACK's draws from a generator.

    Args:
        samples: the number of draws, to be refused if not positive.
        generator: advanced by one draw.

    Raises:
        UndefinedError: ``samples`` is not positive.
    """
    if samples < 1:
        raise UndefinedError(f"a Monte-Carlo estimate needs at least one sample, not {samples}")
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))


@contextmanager
def _traceless(problem: Problem, seed: int) -> Iterator[None]:
    """Gradients on, generator seeded, default dtype that of the problem; everything restored on exit.

    BackPACK makes some tensors (the standard deviation of the Gaussian, kernels of average pooling, the
    one-hot matrix of an embedding) in the default dtype, which in float64 gives errors, or results that
    are right to single precision only.
    """
    default, handles = torch.get_default_dtype(), len(CTX.hook_handles)
    with _seeded(problem.device, seed), warnings.catch_warnings(), torch.enable_grad():
        # the inputs of the first module need no gradients, which torch remarks upon
        warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
        torch.set_default_dtype(problem.dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            for handle in CTX.hook_handles[handles:]:
                handle.remove()
            del CTX.hook_handles[handles:]


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """The global generators of the processor and of one device, seeded while the context lasts."""
    if device.type not in ("cpu", "cuda"):
        raise UnsupportedError(f"BackPACK draws from global generators; those of {device.type} cannot be restored here")
    devices = [] if device.type == "cpu" else [torch.cuda.current_device() if device.index is None else device.index]
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
