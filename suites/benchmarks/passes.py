r"""Counted cost of a call: floating-point operations, and passes through the model forward and backward.

A *forward pass* is an evaluation of the model on all samples; evaluated sample by sample, or on a part, it counts by the share
of the samples, so that N evaluations of one sample are one pass. A *backward pass* is one cotangent of all outputs that crosses
them: on its way into the model, or on its way back through an earlier backward pass, as in double backward. C rows of the
Jacobian are C passes, one gradient is one, and a product with the Hessian by double backward is three: the gradient, and
back through it and through the model. Tangents of forward mode belong to their evaluation.

Counted is what runs through the model as a module and through torch's differentiation. What a library propagates by formulas
of its own, as BackPACK does beside its one backward pass, or replays from a traced graph, shows in the operations alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.flop_counter import FlopCounter


class Count(NamedTuple):
    """Counted cost.

    Args:
        flops: of matrix products and convolutions, as torch counts them.
        forward_passes: evaluations of the model on all samples, rounded up.
        backward_passes: cotangents of all outputs that cross them, rounded up.
    """

    flops: int
    forward_passes: int
    backward_passes: int


@dataclass
class Tally:
    """Numbers that entered the model, and entries of cotangents that crossed its outputs."""

    entered: int = 0
    crossed: int = 0

    def clear(self) -> None:
        """Begin anew."""
        self.entered = self.crossed = 0


def count(call: Call, problem: Problem) -> Count:
    """Count what a call does; it is run once.

    Args:
        call: evaluates the model of the problem, a copy of it, or none. What it does with a graph that was made before is
            not seen: see :func:`count_prepared`.
        problem: whose model it is.

    Example:
        >>> from fishergauge.reference import gradient
        >>> problem = Problem(nn.Linear(2, 1), nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> count(lambda: gradient(problem), problem).backward_passes
        1
    """
    return count_prepared(lambda _: call, problem)


def count_prepared(prepare: Callable[[Problem], Call], problem: Problem) -> Count:
    """Count what a prepared call does, passes through graphs that ``prepare`` made included, and not what ``prepare`` does.

    Args:
        prepare: run once, and the call that it returns once.
        problem: for ``prepare``.
    """
    inputs, outputs = problem.inputs.numel(), problem.outputs.numel()
    with _watched(problem) as tally:
        call = prepare(problem)
        tally.clear()
        with FlopCounter() as flops:
            call()
    return Count(flops.get_total_flops(), -(-tally.entered // inputs), -(-tally.crossed // outputs))


def count_task(implementation: Implementation, problem: Problem, call: Call) -> Count:
    """Count what an implementation does between the beginning and the end of its task.

    Where an operator is at hand, it is prepared anew: passes through a graph that it keeps are seen only then.

    Args:
        implementation: of the task.
        problem: that it was prepared for.
        call: as prepared.
    """
    at_hand = implementation.task.operation in ("product", "solve")
    return count_prepared(implementation.prepare if at_hand else lambda _: call, problem)


@contextmanager
def _watched(problem: Problem) -> Iterator[Tally]:
    """Note what enters models like that of the problem, and let their outputs note cotangents.

    The hook is global, so that it sees copies of the model, calls by ``torch.func.functional_call`` and under ``vmap``, and
    that no module carries a hook which a library might refuse. A model is recognised by its type and the names of its
    parameters.
    """
    tally, wanted = Tally(), _signature(problem.model)

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if type(module) is not wanted[0] or not args or not isinstance(output, Tensor) or _signature(module) != wanted:
            return None
        tally.entered += _physical(args[0])
        return _Outputs.apply(output, tally) if output.requires_grad or _wrapped(output) else None  # type: ignore[no-untyped-call]

    handle = register_module_forward_hook(note)
    try:
        yield tally
    finally:
        handle.remove()


def _signature(module: nn.Module) -> tuple[type[nn.Module], tuple[str, ...]]:
    return type(module), tuple(name for name, _ in module.named_parameters())


def _wrapped(tensor: Tensor) -> bool:
    """Whether a transform of torch.func has wrapped it."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def _physical(tensor: Tensor) -> int:
    """The number of entries, those along axes that ``vmap`` hides included."""
    while _wrapped(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.numel()


class _Outputs(torch.autograd.Function):
    """The identity, which notes the cotangents that go back through it."""

    @staticmethod
    def forward(tensor: Tensor, tally: Tally) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tally], output: Tensor) -> None:
        ctx.tally = inputs[1]

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        return _Cotangents.apply(cotangents[0], ctx.tally), None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, tensor: Tensor, tally: Tally) -> Any:
        return _Outputs.apply(tensor, tally), in_dims[0]  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        tangent: Tensor = tangents[0]
        return tangent.view_as(tangent)


class _Cotangents(torch.autograd.Function):
    """The identity on cotangents, which counts them, and those that come back through it in double backward."""

    @staticmethod
    def forward(cotangent: Tensor, tally: Tally) -> Tensor:
        tally.crossed += _physical(cotangent)
        return cotangent.view_as(cotangent)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tally], output: Tensor) -> None:
        ctx.tally = inputs[1]

    @staticmethod
    def backward(ctx: Any, *tangents: Tensor) -> Any:
        return _Cotangents.apply(tangents[0], ctx.tally), None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, cotangent: Tensor, tally: Tally) -> Any:
        return _Cotangents.apply(cotangent, tally), in_dims[0]  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        tangent: Tensor = tangents[0]
        return tangent.view_as(tangent)
