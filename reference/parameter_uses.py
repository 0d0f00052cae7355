"""How often a parameter stands in a graph of automatic differentiation."""

from collections import Counter
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as modules

GLOBAL_HOOKS: tuple[dict[int, Any], ...] = (
    modules._global_forward_hooks,
    modules._global_forward_pre_hooks,
    modules._global_backward_hooks,
    modules._global_backward_pre_hooks,
)


class ParameterUses:
    """The graph of a tensor: which of its nodes are there, and how many operations take a parameter.

    Args:
        tensor: computed with gradients enabled.

    Example:
        >>> import torch
        >>> weight = torch.ones(2, requires_grad=True)
        >>> ParameterUses((weight * weight.exp()).sum()).count(weight)
        2
    """

    def __init__(self, tensor: Tensor) -> None:
        self._uses: Counter[int] = Counter()
        self._nodes: set[Any] = set()
        waiting: list[Any] = [tensor.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or node in self._nodes:
                continue
            self._nodes.add(node)
            for following, _ in node.next_functions:
                if hasattr(following, "variable"):
                    self._uses[id(following.variable)] += 1
                waiting.append(following)

    def __contains__(self, node: Any) -> bool:
        return node in self._nodes

    def count(self, parameter: Tensor) -> int:
        """By how many operations the tensor depends on the parameter directly."""
        return self._uses[id(parameter)]


def is_bare(module: nn.Module) -> bool:
    """Whether a call of the module is its class's ``forward`` and nothing else: no hook, no method of its own.

    Global hooks of torch's own counters and profilers only look on.
    """
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    everywhere = [hook for hooks_of_kind in GLOBAL_HOOKS for hook in hooks_of_kind.values()]
    strange = any(not getattr(hook, "__module__", "").startswith("torch.") for hook in everywhere)
    return not (strange or any(hooks) or "forward" in vars(module)) and type(module).__call__ is nn.Module.__call__
