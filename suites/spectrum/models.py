"""The models of the spectrum: from softmax regression at the paper's size to a small convolutional network."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference import Facts, Problem
from fishergauge.suites.seeding import generator

PAPER_FEATURES = 16
INDICATORS = 3  # so many classes have an output under squared error
SUBSET = 500  # samples of the models whose curvature does not get better determined by more


class ZeroLogit(nn.Module):
    """Appends a logit that is always zero: C - 1 free logits have no common shift."""

    def forward(self, logits: Tensor) -> Tensor:
        """``(N, C - 1)`` to ``(N, C)``."""
        return functional.pad(logits, (0, 1))


NOTHING = Facts()


@dataclass(frozen=True)
class Model:
    """A model of the spectrum.

    Args:
        statement: what it is, in a line.
        build: ``(features, classes)`` to a module.
        loss: its loss.
        subset: how many samples it sees at most; None for all.
        facts: what is known of the problem.
        images: whether the inputs are taken for images of four channels.
        quick: whether it belongs to the quick form.
    """

    statement: str
    build: Callable[[int, int], nn.Module]
    loss: Callable[[], nn.Module] = nn.CrossEntropyLoss
    subset: int | None = SUBSET
    facts: Facts = NOTHING
    images: bool = False
    quick: bool = False


LINEAR = Facts(linear_in_parameters=True, piecewise_linear=True)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "softmax": Model(
            "softmax regression without bias, the paper's model",
            lambda d, c: nn.Linear(d, c, bias=False),
            subset=None,
            facts=LINEAR,
        ),
        "softmax-reduced": Model(
            "the same with C - 1 free logits: its Fisher is invertible",
            lambda d, c: nn.Sequential(nn.Linear(d, c - 1, bias=False), ZeroLogit()),
            subset=1000,
            facts=LINEAR,
            quick=True,
        ),
        "linear-gaussian": Model(
            "a linear-Gaussian model with bias",
            lambda d, c: nn.Linear(d, min(c, INDICATORS)),
            loss=nn.MSELoss,
            facts=Facts(linear_in_parameters=True, piecewise_linear=True, deep_linear=True),
        ),
        "mlp": Model(
            "a perceptron with biases and one hidden layer",
            lambda d, c: nn.Sequential(nn.Linear(d, 4), nn.Tanh(), nn.Linear(4, c)),
            quick=True,
        ),
        "cnn": Model(
            "a small convolutional network",
            lambda _, c: _convolutional(c),
            subset=200,
            facts=Facts(weight_sharing=True),
            images=True,
        ),
    }
)
"""The models by name."""


def spectrum_problem(model: str, inputs: Tensor, labels: Tensor, classes: int, dtype: torch.dtype, data: str = "") -> Problem:
    """A model on data for classification.

    Args:
        model: one of :data:`MODELS`.
        inputs: ``(N, D)``.
        labels: ``(N,)``, below ``classes``; a squared error gets the indicators of the first three classes.
        classes: C.
        dtype: of parameters and inputs.
        data: its name, for that of the problem.

    Returns:
        The problem; its parameters are drawn as torch's modules do, from a source of their own.
    """
    chosen = MODELS[model]
    inputs, labels = inputs[: chosen.subset], labels[: chosen.subset]
    inputs = as_images(inputs) if chosen.images else steadiest(varying(inputs), PAPER_FEATURES)
    # skip_init leaves memory as it is, so the modules are made on the device "meta" and then filled
    with torch.device("meta"):
        made = chosen.build(inputs.shape[1], classes)
    made = made.to_empty(device=inputs.device).to(torch.float64)
    _initialise(made, generator("spectrum", model, data))
    targets = (
        labels
        if isinstance(chosen.loss(), nn.CrossEntropyLoss)
        else functional.one_hot(labels, classes)[:, :INDICATORS].to(dtype)
    )
    batch = (inputs.to(dtype), targets)
    return Problem(made.to(dtype), chosen.loss(), [batch], name=f"{model}-{data}".strip("-"), facts=chosen.facts)


def _initialise(module: nn.Module, source: torch.Generator) -> None:
    """Weights and biases uniform in +- 1/sqrt(fan-in), torch's own choice."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                limit = 1 / math.sqrt(layer.weight[0].numel())
                for parameter in layer.parameters():
                    values = torch.rand(parameter.shape, generator=source, dtype=torch.float64)
                    parameter.copy_(limit * (2 * values - 1))


def varying(inputs: Tensor) -> Tensor:
    """The features that are not the same in all samples: a constant one would stand in for a bias, and take up shifts."""
    return inputs[:, inputs.amax(0) > inputs.amin(0)]


def steadiest(inputs: Tensor, count: int) -> Tensor:
    """So many of the features of inputs ``(N, D)``, those of the least kurtosis, in their order: ``(N, count)``.

    A pixel that is blank in all samples but one makes a matrix nearly singular by itself. Principal components would not do:
    they are uncorrelated, so that the eigenbasis of EKFAC is that of the features. Nor would all pixels of digits: some are
    affine functions of others, and stand in for a bias.
    """
    if inputs.shape[1] <= count:
        return inputs
    centred = inputs - inputs.mean(0)
    kurtosis = centred.pow(4).mean(0) / centred.square().mean(0).square()
    return inputs[:, kurtosis.argsort()[:count].sort().values]


def as_images(vectors: Tensor) -> Tensor:
    """Vectors as square images of four channels, zeros at the end: ``(N, D)`` to ``(N, 4, side, side)``.

    Example:
        >>> as_images(torch.ones(5, 16)).shape
        torch.Size([5, 4, 2, 2])
    """
    side = math.ceil(math.sqrt(vectors.shape[1] / 4))
    return functional.pad(vectors, (0, 4 * side**2 - vectors.shape[1])).view(-1, 4, side, side)


def _convolutional(classes: int) -> nn.Module:
    """Two convolutions, the first with zero padding, an average over what is left, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(4, 3, 2, padding=1),
        nn.Tanh(),
        nn.Conv2d(3, 4, 2),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, classes),
    )
