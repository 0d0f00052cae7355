"""Models and modules from which several zoo problems are made."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(*widths: int, activation: type[nn.Module] | None = nn.Tanh, bias: bool = True) -> Callable[[], nn.Module]:
    """Linear layers of these widths with an activation between them; without one, a deep linear network."""

    def model() -> nn.Module:
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            if layers and activation is not None:
                layers.append(activation())
            layers.append(nn.Linear(before, after, bias=bias))
        return nn.Sequential(*layers)

    return model


class MeanOverPositions(nn.Module):
    """``(N, T, D)`` to ``(N, D)``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean(1)


class PairsOfPositions(nn.Module):
    """Averages neighbouring positions: ``(N, T, D)`` to ``(N, T / 2, D)``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(len(inputs), -1, 2, inputs.shape[-1]).mean(2)


class RepeatedPositions(nn.Module):
    """Each position twice: ``(N, T, D)`` to ``(N, 2 T, D)``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.repeat_interleave(2, 1)


class PositionsBeforeChannels(nn.Module):
    """The outputs of a convolution as terms: ``(N, C, H, W)`` to ``(N, H W, C)``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(2).mT


class ClassesSecond(nn.Module):
    """``(N, T, C)`` to ``(N, C, T)``, the order that ``CrossEntropyLoss`` expects."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mT


class ReferenceClass(nn.Module):
    """Appends a class whose logit is zero, so that the others are free: ``(N, C - 1)`` to ``(N, C)``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([inputs, torch.zeros_like(inputs[:, :1])], 1)


class Divided(nn.Module):
    """Divides each output by a fixed standard deviation, a buffer."""

    deviations: Tensor

    def __init__(self, deviations: Tensor) -> None:
        super().__init__()
        self.register_buffer("deviations", deviations)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs / self.deviations


class Logits(nn.Module):
    """A model whose parameters are its outputs, whatever the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(width))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits + torch.zeros_like(inputs[:, :1])
