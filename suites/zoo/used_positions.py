"""At how many positions each layer of a model is used."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from fishergauge.reference import Problem
from fishergauge.reference.evaluation import differentiable_attention


def used_positions(problem: Problem) -> dict[str, int]:
    """How often each layer with parameters is used in a forward pass over all samples, positions counted.

    Known are linear, convolutional, embedding, normalisation, recurrent and attention layers; others are left out.

    Args:
        problem: any problem; it is left as it was.

    Returns:
        Counts by name of module: N where a layer is used once for each sample, N T where it is used at T positions.

    Example:
        >>> data = [(torch.ones(4, 3, 2), torch.zeros(4, 3, 1))]
        >>> used_positions(Problem(nn.Sequential(nn.Linear(2, 1)), nn.MSELoss(), data))
        {'0': 12}
    """
    model = copy.deepcopy(problem.model)
    counts: Counter[str] = Counter()

    def count(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
            number = _positions(module, inputs[0], outputs)
            if number is not None:
                counts[name] += number

        return note

    for name, module in model.named_modules():
        if any(p is not None for p in module._parameters.values()):
            module.register_forward_hook(count(name))
    with torch.no_grad(), differentiable_attention():
        model(problem.inputs)
    return dict(counts)


def _positions(module: nn.Module, inputs: Tensor, outputs: Any) -> int | None:
    """The positions of one call, those of all samples together."""
    if isinstance(module, nn.Linear):
        return inputs.numel() // module.in_features
    if isinstance(module, _ConvNd):
        return int(outputs.numel()) // module.out_channels
    if isinstance(module, nn.Embedding):
        return inputs.numel()
    if isinstance(module, _BatchNorm):
        return inputs.numel() // module.num_features
    if isinstance(module, nn.LayerNorm):
        return inputs.numel() // int(torch.Size(module.normalized_shape).numel())
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return inputs.numel() // inputs.shape[-1]
    return None
