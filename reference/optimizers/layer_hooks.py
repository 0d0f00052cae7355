"""Hooks that note what enters and leaves the linear layers of a model between its call and that of its loss."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.layer_statistics import FORWARDS, KNOWN
from fishergauge.reference.patches import patches


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a linear layer.

    Args:
        module: the layer.
        entered: its input, detached.
        left: its output, in the graph.
    """

    module: nn.Module
    entered: Tensor
    left: Tensor

    @property
    def width(self) -> int:
        """D_out."""
        return self.left.shape[-1 if isinstance(self.module, nn.Linear) else 1]

    @property
    def inputs(self) -> Tensor:
        """The vectors that the weight multiplies, ``(..., T, D_in)``: patches of a convolution."""
        return self.entered if isinstance(self.module, nn.Linear) else patches(self.module, self.entered)

    def by_position(self, gradient: Tensor) -> Tensor:
        """A gradient shaped like the output, with the layer's outputs along the last axis."""
        return gradient if isinstance(self.module, nn.Linear) else gradient.flatten(2).mT


Observer = Callable[[Tensor, Tensor, dict[str, LayerCall]], None]


class LayerHooks:
    """Tells an observer of each training pass: outputs of the model, targets of the loss, calls of the layers.

    A pass is a call of the model in training mode with gradients enabled, followed by a call of the loss module on what
    the model returned. Every other call goes unnoticed: in evaluation mode, without gradients, of a copy of the model.

    Args:
        model: whose trained parameters all belong to ``Linear`` and ungrouped convolutions.
        loss: the loss module.
        wanted: whether the next pass is to be observed.
        observe: is called between the loss and its backward pass.

    Raises:
        UnsupportedError: a trained parameter belongs to another kind of module, or is tied.
    """

    def __init__(self, model: nn.Module, loss: nn.Module, wanted: Callable[[], bool], observe: Observer) -> None:
        self.modules = linear_modules(model)
        self._model, self._loss, self._wanted, self._observe = model, loss, wanted, observe
        self._calls: dict[str, list[LayerCall]] | None = None  # of the model's call under way; None: nothing is noted
        self._passes: MutableMapping[Tensor, dict[str, list[LayerCall]]] = WeakTensorKeyDictionary()  # by outputs in use
        self._handles: list[RemovableHandle] = [model.register_forward_pre_hook(self._begin())]
        for name, module in self.modules.items():
            self._handles.append(module.register_forward_hook(self._note(name), with_kwargs=True))
        self._handles += [
            model.register_forward_hook(self._end()),
            loss.register_forward_hook(self._closing(), with_kwargs=True),
        ]

    def close(self) -> None:
        """Remove every hook; may be called again."""
        for handle in self._handles:
            handle.remove()
        self._calls = None
        self._passes.clear()

    def __enter__(self) -> "LayerHooks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # The hooks are functions, not methods: a copy of the model keeps them, and with a method it would copy this object.

    def _begin(self) -> Callable[..., None]:
        def hook(module: nn.Module, _: Any) -> None:
            if module is self._model:
                observed = module.training and torch.is_grad_enabled() and self._wanted()
                self._calls = {name: [] for name in self.modules} if observed else None

        return hook

    def _note(self, name: str) -> Callable[..., Tensor | None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> Tensor | None:
            if self._calls is None:
                return None
            entered = args[0] if args else kwargs["input"]
            if not isinstance(module, nn.Linear) and entered.ndim != len(module.kernel_size) + 2:  # type: ignore[arg-type]
                raise UnsupportedError(f"{_where(name)} is applied without a batch axis; give it inputs (N, C, ...)")
            self._calls[name].append(LayerCall(module, entered.detach(), output))
            return output.clone()  # what follows may work in place

        return hook

    def _end(self) -> Callable[..., None]:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            if module is self._model and self._calls is not None and isinstance(output, Tensor):
                self._passes[output], self._calls = self._calls, None

        return hook

    def _closing(self) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], _: Tensor) -> None:
            given = dict(zip(("input", "target"), args, strict=False)) | kwargs
            calls = self._passes.pop(given["input"], None) if module is self._loss else None
            if calls is None:
                return
            self._observe(given["input"], given["target"], {name: _once(name, noted) for name, noted in calls.items()})

        return hook


def _once(name: str, noted: list[LayerCall]) -> LayerCall:
    """The only call of a layer."""
    if len(noted) != 1:
        raise UnsupportedError(
            f"{_where(name)} is used {len(noted)} times in a forward pass; it must be used once: freeze it, or leave it out"
        )
    return noted[0]


def linear_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The linear layers that own the trained parameters, by name, in the order of ``named_parameters``.

    Args:
        model: the model.

    Returns:
        ``Linear`` and ungrouped convolutions.

    Raises:
        UnsupportedError: a trained parameter belongs to another kind of module, is tied, or there is none.

    Example:
        >>> list(linear_modules(nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))))
        ['0', '2']
    """
    everywhere = [id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False)]
    modules: dict[str, nn.Module] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        owner = name.rpartition(".")[0]
        module = model.get_submodule(owner)
        where = f"{_where(owner)} ({type(module).__name__})"
        if type(module).forward not in FORWARDS:
            raise UnsupportedError(
                f"{where} owns the trained {name}; the factors cover {KNOWN}; freeze the others with requires_grad_(False), "
                "or give them an optimiser of their own"
            )
        if everywhere.count(id(parameter)) > 1:
            raise UnsupportedError(f"{name} is tied: several modules use it, so that it has no input of its own; untie it")
        if getattr(module, "groups", 1) > 1:
            raise UnsupportedError(f"{where} has groups={module.groups}; the factors cover convolutions with groups=1")
        modules[owner] = module
    if not modules:
        raise UnsupportedError("the model has no parameter that requires gradients; nothing is to be trained")
    return modules


def _where(name: str) -> str:
    return name or "the model"
