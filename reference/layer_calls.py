"""What passes through chosen layers while a model is evaluated."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.evaluation import called_at, differentiable_attention
from fishergauge.reference.patches import patches


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation of a model.

    Args:
        outputs: of the model, ``(n, ...)``; with their graph, unless gradients were disabled.
        inputs: by layer, ``(n, positions, D_in)``: the vectors that enter it, or patches.
        places: by layer, where its outputs stand in the graph.
        shapes: by layer, of its outputs.
    """

    outputs: Tensor
    inputs: dict[str, Tensor]
    places: dict[str, GradientEdge]
    shapes: dict[str, torch.Size]


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of a layer."""

    inputs: Tensor
    version: int
    place: GradientEdge | None
    shape: torch.Size


class LayerCalls:
    """Notes what enters and leaves some layers of a model; nothing is copied.

    Of an output only the place in the graph is kept, which is the same after work in place on it.

    Args:
        model: left as it is, also after an exception.
        layers: ``Linear`` or convolutions inside it, by name.
        parameters: which the model has in place of its own, by name.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], parameters: Mapping[str, Tensor]) -> None:
        self._at, self._layers, self._parameters = called_at(model, list(parameters)), layers, parameters
        self._calls: dict[str, list[_Call]] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the calls while the context lasts."""
        self._calls = {name: [] for name in self._layers}
        handles = [layer.register_forward_hook(self._note(name), with_kwargs=True) for name, layer in self._layers.items()]
        try:
            with differentiable_attention():
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> None:
            inputs = (args[0] if args else kwargs["input"]).detach()
            place = get_gradient_edge(output) if output.requires_grad else None
            self._calls[name].append(_Call(inputs, inputs._version, place, output.shape))

        return hook

    def evaluate(self, inputs: Tensor) -> Evaluation:
        """The model at some inputs, within :meth:`noted`.

        Raises:
            UnsupportedError: a layer is not called exactly once, without a batch axis or without gradients, or what enters
                it is overwritten later.
        """
        outputs: Tensor = self._at(self._parameters, (inputs.detach(),))
        entered, places, shapes = {}, {}, {}
        for name, calls in self._calls.items():
            if len(calls) != 1:
                raise UnsupportedError(f"{where(name)} is used {len(calls)} times in a forward pass; it must be used once")
            call = calls.pop()
            entered[name] = self._vectors(name, call, len(inputs))
            shapes[name] = call.shape
            if call.place is not None:
                places[name] = call.place
            elif torch.is_grad_enabled():
                raise UnsupportedError(f"{where(name)} is evaluated with gradients disabled")
        return Evaluation(outputs, entered, places, shapes)

    def _vectors(self, name: str, call: _Call, count: int) -> Tensor:
        """What enters a layer at its positions, ``(n, positions, D_in)``."""
        module, inputs = self._layers[name], call.inputs
        if inputs._version != call.version:
            raise UnsupportedError(f"what enters {where(name)} is overwritten after it was used; work on a copy")
        if not isinstance(module, nn.Linear) and inputs.ndim != module.weight.ndim:
            raise UnsupportedError(f"{where(name)} is applied without a batch axis; give it inputs (N, C, ...)")
        if len(inputs) % count:
            raise UnsupportedError(_layout(name))
        rows = inputs if isinstance(module, nn.Linear) else patches(module, inputs)
        return rows.reshape(count, -1, rows.shape[-1])


def check_layout(alone: Evaluation, together: Evaluation) -> None:
    """Refuse a layer whose first axis is not that of the samples: one alone must enter it as it does within the batch."""
    for name, one in alone.inputs.items():
        tolerance = math.sqrt(torch.finfo(one.dtype).eps) * (1 + float(one.abs().max()))
        among = together.inputs[name]
        if one.shape[1:] != among.shape[1:] or not bool(((one[0] - among[0]).abs() <= tolerance).all()):
            raise UnsupportedError(_layout(name))


def where(name: str) -> str:
    """How messages call a module."""
    return name or "the model"


def _layout(name: str) -> str:
    return f"the first axis of what enters {where(name)} does not count the samples; put the samples first"
