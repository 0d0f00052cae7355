"""A fault in the forward pass of a model: it reaches copies of the model and functional calls as well."""

from typing import Any

import torch
from torch import nn

from fishergauge.reference import Problem
from fishergauge.reference.evaluation import differentiable_attention


class ForwardFailed(RuntimeError):
    """The exception of a planted fault: raised in the middle of a forward pass, and recognised by its type."""


class Fault:
    """A hook on one module that counts its calls and, once armed, raises instead of letting one pass.

    A plain function is the hook: ``copy.deepcopy`` hands it on, so that copies of the model have the fault too, and
    ``torch.func.functional_call`` calls it.

    Args:
        module: whose calls count.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> fault = Fault(layer)
        >>> fault.arm(2)
        >>> try:
        ...     _ = [layer(torch.ones(1, 1)) for _ in range(3)]
        ... except RuntimeError as error:
        ...     print(error, fault.calls)
        the forward pass fails here on purpose 2
    """

    def __init__(self, module: nn.Module) -> None:
        self.calls = 0
        self.raised = 0
        self._first: int | None = None

        def passing(*_: Any) -> None:
            self.calls += 1
            if self._first is not None and self.calls >= self._first:
                self.raised += 1
                raise ForwardFailed("the forward pass fails here on purpose")

        module.register_forward_hook(passing)

    def arm(self, first: int) -> None:
        """Raise from the call of that number on, counted from now."""
        self.calls = self.raised = 0
        self._first = first

    def disarm(self) -> None:
        """Let all calls pass, and count them from now."""
        self.calls, self._first = 0, None


def last_called(problem: Problem) -> str:
    """The name of the module that ends last in a forward pass, of those without children; empty for the model itself.

    A fault there comes when the hooks of all other modules have seen their inputs and outputs.

    Args:
        problem: its model is evaluated and left without a hook.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
        >>> last_called(Problem(net, nn.MSELoss(), [(torch.ones(2, 1), torch.ones(2, 1))]))
        '2'
    """
    ended: list[nn.Module] = []
    named = {module: name for name, module in problem.model.named_modules() if not list(module.children())}
    handles = [module.register_forward_hook(lambda called, *_: ended.append(called)) for module in named]
    try:
        with torch.no_grad(), differentiable_attention():
            problem.model(problem.inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return named[ended[-1]] if ended else ""
