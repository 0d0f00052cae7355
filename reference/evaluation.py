"""The model as a function of its parameters, in a form that can be differentiated twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Evaluate attention by plain matrix products while the context lasts.

    The fused kernels have no second derivative, no batching rule, and the fast path of
    ``TransformerEncoderLayer`` has no forward derivative. The setting is restored on exit.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def called_at(model: nn.Module, names: Sequence[str]) -> Callable[[Mapping[str, Tensor], tuple[Any, ...]], Any]:
    """A model as a function of some of its parameters.

    Every place where a parameter stands is set once: a tied one has several, and a module under two names has one although
    its parameters have two. ``torch.func.functional_call`` would set that one twice, and restore what it had set itself.

    Args:
        model: the module; left as it is.
        names: of the parameters.

    Returns:
        A function of the values by name, and of the arguments of the model.

    Example:
        >>> at = called_at(nn.Linear(1, 1, bias=False), ["weight"])
        >>> at({"weight": torch.tensor([[3.0]])}, (torch.ones(1, 1),))
        tensor([[3.]])
    """
    places: dict[int, list[str]] = {}
    for prefix, module in model.named_modules():
        for key, parameter in module.named_parameters(recurse=False):
            places.setdefault(id(parameter), []).append(f"{prefix}.{key}".lstrip("."))
    slots = {name: places[id(model.get_parameter(name))] for name in names}

    def call(values: Mapping[str, Tensor], arguments: tuple[Any, ...]) -> Any:
        placed = {place: values[name] for name, own in slots.items() for place in own}
        return functional_call(model, placed, arguments, tie_weights=False)

    return call


def plainly() -> bool:
    """Whether plain automatic differentiation works here: outside transforms of torch.func and inference mode."""
    return not (torch._C._are_functorch_transforms_active() or torch.is_inference_mode_enabled())
