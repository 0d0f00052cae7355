"""Problems of 1e4 to 1e7 parameters: perceptrons, residual networks and transformers, on drawn data and on digits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.probes.large.digits import CLASSES, digits
from fishergauge.suites.probes.large.residual_network import ResidualNetwork
from fishergauge.suites.probes.large.transformer import Transformer
from fishergauge.suites.zoo.layers import mlp
from fishergauge.suites.zoo.setting import Setting

Size = Literal["1e4", "1e5", "1e6", "1e7"]
Build = Callable[[torch.dtype, str, int], Problem]
Builder = Callable[[Size, Setting, tuple[Tensor, Tensor]], Problem]

SAMPLES = 32
SIDE = 8  # of an image
TOKENS = 16  # in the vocabulary of a transformer on drawn data
SENTENCES = 16
OF_DIGITS: tuple[Size, ...] = ("1e5", "1e6")
COMMON = frozenset(
    {"categorical", "mean", "likelihood", "several-outputs", "float-inputs", "linear-layers", "over-parametrised"}
)

WIDTHS: Mapping[Size, tuple[int, ...]] = {"1e4": (80, 50), "1e5": (280,) * 2, "1e6": (680,) * 3, "1e7": (1800,) * 4}
CHANNELS: Mapping[Size, tuple[int, int, int]] = {
    "1e4": (8, 10, 16),
    "1e5": (14, 28, 60),
    "1e6": (46, 92, 184),
    "1e7": (146, 292, 584),
}
BLOCKS: Mapping[Size, tuple[int, int]] = {"1e4": (20, 2), "1e5": (64, 2), "1e6": (168, 3), "1e7": (372, 6)}
"""Width and number of the blocks of a transformer; of four heads."""


@dataclass(frozen=True)
class LargeProblem:
    """A problem that is too large for any (P, P) array, not yet made.

    Args:
        name: family, data and size, ``"mlp-digits-1e5"``.
        size: P, to within a tenth.
        description: in a few words.
        build: of dtype, device and seed; the same problem for the same arguments.
        tags: what :func:`~fishergauge.suites.tags.tags_of` says of it, known before it is made.
    """

    name: str
    size: Size
    description: str
    build: Build
    tags: frozenset[str]

    def problem(self, dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0) -> Problem:
        """The problem; the same numbers in float32 as in float64 up to rounding.

        Raises:
            UnsupportedError: its data come with a package that is not installed.
        """
        return self.build(dtype, device, seed)


def _perceptron(size: Size, s: Setting, data: tuple[Tensor, Tensor]) -> Problem:
    images, labels = data
    model = mlp(SIDE**2, *WIDTHS[size], CLASSES)
    return s.problem(model, nn.CrossEntropyLoss(), [(images.flatten(1), labels)], Facts())


def _residual(size: Size, s: Setting, data: tuple[Tensor, Tensor]) -> Problem:
    model = partial(ResidualNetwork, CHANNELS[size], CLASSES)
    return s.problem(model, nn.CrossEntropyLoss(), [data], Facts(weight_sharing=True))


def _classifying_transformer(size: Size, s: Setting, data: tuple[Tensor, Tensor]) -> Problem:
    """The rows of an image as positions, a class for the image."""
    images, labels = data
    width, blocks = BLOCKS[size]
    model = partial(Transformer, SIDE, width, blocks, 4, CLASSES, pooled=True)
    return s.problem(model, nn.CrossEntropyLoss(), [(images.squeeze(1), labels)], Facts(weight_sharing=True))


def _predicting_transformer(size: Size, name: str, dtype: torch.dtype, device: str, seed: int) -> Problem:
    """The next token at each position of drawn sentences."""
    s = Setting(name, dtype, device, seed=seed)
    width, blocks = BLOCKS[size]
    tokens = s.labels(TOKENS, SENTENCES, SIDE + 1)
    entering = nn.functional.one_hot(tokens[:, :-1], TOKENS).to(s.dtype)
    model = partial(Transformer, TOKENS, width, blocks, 4, TOKENS, pooled=False)
    return s.problem(model, nn.CrossEntropyLoss(), [(entering, tokens[:, 1:])], Facts(weight_sharing=True))


def _drawn(size: Size, name: str, builder: Builder, dtype: torch.dtype, device: str, seed: int) -> Problem:
    s = Setting(name, dtype, device, seed=seed)
    return builder(size, s, (s.normal(SAMPLES, 1, SIDE, SIDE), s.labels(CLASSES, SAMPLES)))


def _of_digits(size: Size, name: str, builder: Builder, dtype: torch.dtype, device: str, seed: int) -> Problem:
    images, labels = digits(SAMPLES, seed)
    return builder(size, Setting(name, dtype, device, seed=seed), (images.to(device, dtype), labels.to(device)))


def _layout(family: str, size: Size) -> str:
    if family == "mlp":
        return "tanh perceptron " + "-".join(map(str, (SIDE**2, *WIDTHS[size], CLASSES)))
    if family == "resnet":
        return "residual network with {}, {} and {} channels".format(*CHANNELS[size])
    return "transformer of {1} blocks, width {0}, 4 heads".format(*BLOCKS[size])


def _entries() -> Iterator[LargeProblem]:
    sentences = f"{SENTENCES} drawn sentences of {SIDE} tokens, of {TOKENS}"
    of_images: dict[str, Builder] = {"mlp": _perceptron, "resnet": _residual}
    for size in WIDTHS:
        for family, builder in of_images.items():
            name, tags = f"{family}-{size}", COMMON if family == "mlp" else COMMON | {"sharing"}
            described = f"{_layout(family, size)}; {SAMPLES} drawn images of {SIDE} x {SIDE}"
            yield LargeProblem(name, size, described, partial(_drawn, size, name, builder), tags)
        name, described = f"transformer-{size}", f"{_layout('transformer', size)}; {sentences}"
        tags = COMMON | {"sharing", "several-terms"}
        yield LargeProblem(name, size, described, partial(_predicting_transformer, size, name), tags)
    for size in OF_DIGITS:
        for family, builder in (of_images | {"transformer": _classifying_transformer}).items():
            name, tags = f"{family}-digits-{size}", COMMON if family == "mlp" else COMMON | {"sharing"}
            build = partial(_of_digits, size, name, builder)
            yield LargeProblem(name, size, f"{_layout(family, size)}; {SAMPLES} digits", build, tags)


LARGE: Mapping[str, LargeProblem] = MappingProxyType({entry.name: entry for entry in _entries()})
