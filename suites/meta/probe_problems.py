"""The problems on which planted defects go through the probes: between them every mistake of the bank can be made."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import ClassesSecond, MeanOverPositions, PositionsBeforeChannels, mlp
from fishergauge.suites.zoo.setting import Setting

Scale = Literal["small", "1e3", "1e4"]
Batches = list[tuple[Tensor, Tensor]]
WIDTHS: Mapping[Scale, tuple[int, ...]] = {"small": (12, 12, 12, 5), "1e3": (24, 22, 22, 5), "1e4": (64, 65, 65, 10)}
"""Inputs, two hidden layers, one of them square, and outputs: P = 377, 1,171 and 9,175."""
DEEP: Mapping[Scale, tuple[int, ...]] = {"small": (6, 10, 10, 4), "1e3": (16, 26, 24, 5), "1e4": (24, 86, 76, 6)}
"""The same at several positions: P = 224, 1,215 and 9,224."""
CHANNELS: Mapping[Scale, tuple[int, int, int]] = {"small": (2, 4, 6), "1e3": (4, 14, 6), "1e4": (4, 38, 24)}
"""Channels: of the inputs, in between and at the end."""
GROUPED: Mapping[Scale, tuple[int, int, int]] = {"small": (4, 4, 3), "1e3": (8, 10, 6), "1e4": (8, 22, 24)}
SAMPLES = [11, 5]  # in two batches, so that the mean of their means is another mean
POSITIONS = 4


def _batched(inputs: Tensor, targets: Tensor) -> Batches:
    """Two batches of different sizes."""
    return list(zip(torch.split(inputs, SAMPLES), torch.split(targets, SAMPLES), strict=True))


def _count() -> int:
    return sum(SAMPLES)


def softmax(s: Setting, scale: Scale) -> Problem:
    """A tanh perceptron with cross-entropy; three labels are masked."""
    widths = WIDTHS[scale]
    labels = s.labels(widths[-1], _count())
    labels[torch.tensor([1, 4, 13])] = -100
    return s.problem(mlp(*widths), nn.CrossEntropyLoss(), _batched(s.normal(_count(), widths[0]), labels), Facts())


def squared(s: Setting, scale: Scale) -> Problem:
    """A tanh perceptron with the mean squared error of several outputs."""
    widths = WIDTHS[scale]
    data = _batched(s.normal(_count(), widths[0]), s.normal(_count(), widths[-1]))
    return s.problem(mlp(*widths), nn.MSELoss(), data, Facts())


def summed(s: Setting, scale: Scale) -> Problem:
    """A tanh perceptron with the sum of cross-entropies."""
    widths = WIDTHS[scale]
    data = _batched(s.normal(_count(), widths[0]), s.labels(widths[-1], _count()))
    return s.problem(mlp(*widths), nn.CrossEntropyLoss(reduction="sum"), data, Facts())


def weighted(s: Setting, scale: Scale) -> Problem:
    """Class weights and label smoothing: no likelihood."""
    widths = WIDTHS[scale]
    weight = 0.5 + s.normal(widths[-1]).abs()
    loss = nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    return s.problem(mlp(*widths), loss, _batched(s.normal(_count(), widths[0]), s.labels(widths[-1], _count())), Facts())


def binary(s: Setting, scale: Scale) -> Problem:
    """Several binary labels with ``pos_weight``: no likelihood."""
    widths = WIDTHS[scale]
    loss = nn.BCEWithLogitsLoss(pos_weight=0.5 + s.normal(widths[-1]).abs())
    return s.problem(mlp(*widths), loss, _batched(s.normal(_count(), widths[0]), s.binary(_count(), widths[-1])), Facts())


def positions(s: Setting, scale: Scale) -> Problem:
    """Linear layers at several positions, each with a label of its own."""
    widths = DEEP[scale]
    model = lambda: nn.Sequential(mlp(*widths)(), ClassesSecond())  # noqa: E731
    data = _batched(s.normal(_count(), POSITIONS, widths[0]), s.labels(widths[-1], _count(), POSITIONS))
    return s.problem(model, nn.CrossEntropyLoss(), data, Facts(weight_sharing=True, loss_per_position=True))


def pooled(s: Setting, scale: Scale) -> Problem:
    """Deep linear layers at several positions, averaged before one squared error a sample."""
    widths = DEEP[scale]
    model = lambda: nn.Sequential(mlp(*widths, activation=None)(), MeanOverPositions())  # noqa: E731
    data = _batched(s.normal(_count(), POSITIONS, widths[0]), s.normal(_count(), widths[-1]))
    facts = Facts(weight_sharing=True, pooled=True, deep_linear=True, piecewise_linear=True)
    return s.problem(model, nn.MSELoss(), data, facts)


def convolution(s: Setting, scale: Scale) -> Problem:
    """Padded and dilated convolutions with a term at each place."""
    inputs, hidden, outputs = CHANNELS[scale]

    def model() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=2, dilation=2),
            nn.Tanh(),
            nn.Conv2d(hidden, outputs, 3, stride=2, padding=1),
            PositionsBeforeChannels(),
        )

    data = _batched(s.normal(_count(), inputs, 6, 6), s.normal(_count(), 9, outputs))
    return s.problem(model, nn.MSELoss(), data, Facts(weight_sharing=True))


def grouped(s: Setting, scale: Scale) -> Problem:
    """A convolution in two groups below a linear layer with cross-entropy."""
    inputs, hidden, outputs = GROUPED[scale]

    def model() -> nn.Module:
        layers = [nn.Conv2d(inputs, hidden, 3, padding=1, groups=2), nn.Tanh(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(16 * hidden, outputs))

    data = _batched(s.normal(_count(), inputs, 4, 4), s.labels(outputs, _count()))
    return s.problem(model, nn.CrossEntropyLoss(), data, Facts(weight_sharing=True))


def fixed(s: Setting, scale: Scale) -> Problem:
    """A perceptron with a square layer that is not trained."""
    widths = WIDTHS[scale]

    def model() -> nn.Module:
        layers = mlp(*widths)()
        return nn.Sequential(layers[0], nn.Linear(widths[1], widths[1]).requires_grad_(False), *layers[1:])  # type: ignore[index]

    return s.problem(
        model, nn.CrossEntropyLoss(), _batched(s.normal(_count(), widths[0]), s.labels(widths[-1], _count())), Facts()
    )


def confident(s: Setting, scale: Scale) -> Problem:
    """Predictions so confident that p - p p' cancels."""
    problem = summed(s, scale)
    with torch.no_grad():
        list(problem.model.parameters())[-1][0] += 25.0
    return replace(problem, facts=Facts(saturated=True))


def single(s: Setting, scale: Scale) -> Problem:
    """One output a sample."""
    widths = (*WIDTHS[scale][:-1], 1)
    return s.problem(mlp(*widths), nn.MSELoss(), _batched(s.normal(_count(), widths[0]), s.normal(_count(), 1)), Facts())


def repeatable(s: Setting, scale: Scale) -> Problem:
    """As many outputs as inputs, so that the model could be applied twice."""
    inputs, _, hidden, _ = WIDTHS[scale]
    data = _batched(s.normal(_count(), inputs), s.normal(_count(), inputs))
    return s.problem(mlp(inputs, hidden, inputs), nn.MSELoss(), data, Facts())


BUILDERS: Mapping[str, Callable[[Setting, Scale], Problem]] = MappingProxyType(
    {
        f"planted-{function.__name__}": function
        for function in (
            softmax,
            squared,
            summed,
            weighted,
            binary,
            positions,
            pooled,
            convolution,
            grouped,
            fixed,
            confident,
            single,
            repeatable,
        )
    }
)


def probe_problem(name: str, scale: Scale = "1e4", dtype: torch.dtype = torch.float64) -> Problem:
    """One of the problems.

    Args:
        name: a key of :data:`BUILDERS`.
        scale: some hundred parameters, above 1e3, or nearly 1e4.
        dtype: of parameters and data.

    Example:
        >>> probe_problem("planted-squared").num_parameters
        9175
    """
    return BUILDERS[name](Setting(name, dtype), scale)
