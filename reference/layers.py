"""The layers of a problem, found by running its model: where each stands and what goes in and out."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.problem import Problem

LinearModule = nn.Linear | nn.modules.conv._ConvNd


@dataclass(frozen=True)
class Layer:
    """A linear or convolutional module with trainable parameters.

    Args:
        name: of the module.
        module: the module itself; not to be changed.
        calls: how many times one evaluation uses it.
        first: its input is the input of the model.
        last: its output is the output of the model.
        positions: T, at how many positions of a sample it is used.
        tied: a parameter of it belongs to another module as well.
    """

    name: str
    module: LinearModule
    calls: int
    first: bool
    last: bool
    positions: int
    tied: bool

    @property
    def alone(self) -> bool:
        """Whether each weight enters a sample once."""
        return self.calls == 1 and self.positions == 1 and not self.tied

    @property
    def weight(self) -> str | None:
        """The name of its trainable weight."""
        return self._parameter("weight")

    @property
    def bias(self) -> str | None:
        """The name of its trainable bias."""
        return self._parameter("bias")

    def _parameter(self, kind: str) -> str | None:
        value = getattr(self.module, kind, None)
        trained = isinstance(value, nn.Parameter) and value.requires_grad
        return f"{self.name}.{kind}".lstrip(".") if trained else None


def layers_of(problem: Problem) -> tuple[Layer, ...]:
    """The linear and convolutional layers that own trainable parameters, in the order of ``named_modules``.

    Args:
        problem: evaluated once, on a copy of its model.

    Returns:
        A tuple of layers; empty where the model has none.

    Example:
        >>> problem = Problem(nn.Linear(2, 1), nn.MSELoss(), [(torch.ones(3, 2), torch.ones(3, 1))])
        >>> [(layer.first, layer.last, layer.alone) for layer in layers_of(problem)]
        [(True, True, True)]
    """
    model = copy.deepcopy(problem.model)
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}
    candidates = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LinearModule) and any(p.requires_grad for p in module.parameters(recurse=False))
    }
    handles = []
    for name, module in candidates.items():

        def keep(_: nn.Module, args: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor, name: str = name) -> None:
            entered = args[0] if args else named["input"]
            seen.setdefault(name, []).append((entered.detach().clone(), output.detach().clone()))  # before work in place

        handles.append(module.register_forward_hook(keep, with_kwargs=True))
    with torch.no_grad(), differentiable_attention():
        outputs = model(problem.inputs)
    for handle in handles:  # the modules are handed out
        handle.remove()
    result = []
    for name, module in candidates.items():
        calls = seen.get(name, [])
        if not calls:
            continue
        inside, outside = calls[0]
        width = outside.shape[1] if isinstance(module, nn.modules.conv._ConvNd) and outside.ndim > 2 else outside.shape[-1]
        result.append(
            Layer(
                name,
                module,
                len(calls),
                first=torch.equal(inside, problem.inputs),
                last=torch.equal(calls[-1][1].reshape(-1), outputs.reshape(-1)),
                positions=outside.numel() // (len(outside) * width),
                tied=any(owners[id(p)] > 1 for p in module.parameters(recurse=False)),
            )
        )
    return tuple(result)
