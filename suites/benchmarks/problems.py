"""The problems on which costs are measured, in three sizes each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.seeding import generator

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Bench:
    """A problem to measure costs on, not yet made.

    Args:
        name: family and size, ``"mlp-large"``.
        family: ``"softmax"``, ``"mlp"``, ``"cnn"`` or ``"wide"``.
        size: one of :data:`SIZES`.
        description: in a few words.
        build: of the problem, in float64 on the CPU.
        matrix_free: whether it has too many parameters for any (P, P) array.
    """

    name: str
    family: str
    size: str
    description: str
    build: Callable[[], Problem]
    matrix_free: bool = False

    def problem(self, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Problem:
        """The problem: the same numbers in every run, rounded to ``dtype``."""
        made = self.build()
        batches = [(inputs.to(device, dtype), targets.to(device)) for inputs, targets in made.batches]
        return Problem(made.model.to(device, dtype), made.loss, batches, self.name, made.facts)


def perceptron(widths: Sequence[int], samples: int, name: str) -> Problem:
    """A tanh perceptron with cross-entropy on random data.

    Args:
        widths: from the inputs to the classes; two of them give softmax regression without a bias.
        samples: N.
        name: of the problem, from which everything is drawn.

    Returns:
        The problem, in float64.

    Example:
        >>> perceptron((4, 3, 2), 5, "example").num_parameters
        23
    """
    linear = len(widths) == 2
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [_unset(nn.Linear, before, after, bias=not linear), nn.Tanh()]
    return _classified(nn.Sequential(*layers[:-1]), (widths[0],), samples, widths[-1], name, Facts(linear_in_parameters=linear))


def convolutional(channels: tuple[int, int], samples: int, name: str) -> Problem:
    """Two convolutions with average pooling and a linear layer, on random images of 8 x 8 pixels in ten classes.

    Args:
        channels: of the convolutions.
        samples: N.
        name: of the problem, from which everything is drawn.

    Returns:
        The problem, in float64.
    """
    first, second = channels
    model = nn.Sequential(
        _unset(nn.Conv2d, 1, first, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        _unset(nn.Conv2d, first, second, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        _unset(nn.Linear, 4 * second, 10),
    )
    return _classified(model, (1, 8, 8), samples, 10, name, Facts(weight_sharing=True))


def _unset(kind: type[nn.Module], *sizes: int, **options: bool | int) -> nn.Module:
    """A module whose initial values are set later: without touching the global generator."""
    return kind(*sizes, **options, device="meta", dtype=torch.float64).to_empty(device="cpu")


def _classified(model: nn.Module, shape: tuple[int, ...], samples: int, classes: int, name: str, facts: Facts) -> Problem:
    source = generator("benchmark problem", name)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(scale * torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    inputs = torch.randn(samples, *shape, generator=source, dtype=torch.float64)
    labels = torch.randint(classes, (samples,), generator=source)
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)], name, facts)


def _described(widths: Sequence[int], samples: int) -> str:
    return f"{'-'.join(map(str, widths))}, N = {samples}"


PERCEPTRONS: dict[str, dict[str, tuple[tuple[int, ...], int]]] = {
    "softmax": {"small": ((8, 5), 500), "medium": ((16, 10), 2000), "large": ((16, 10), 5000)},
    "mlp": {"small": ((16, 24, 16, 10), 250), "medium": ((24, 40, 24, 10), 500), "large": ((32, 64, 32, 10), 1000)},
    "wide": {
        "small": ((128, 160, 160, 160, 10), 64),
        "medium": ((256, 320, 320, 320, 10), 128),
        "large": ((256, 640, 640, 640, 10), 256),
    },
}
CHANNELS = {"small": ((2, 4), 64), "medium": ((4, 8), 128), "large": ((8, 16), 256)}


def _catalogue() -> dict[str, Bench]:
    found = []
    for family, sizes in PERCEPTRONS.items():
        for size, (widths, samples) in sizes.items():
            name = f"{family}-{size}"
            build = partial(perceptron, widths, samples, name)
            found.append(Bench(name, family, size, _described(widths, samples), build, family == "wide"))
    for size, (channels, samples) in CHANNELS.items():
        name = f"cnn-{size}"
        description = f"two convolutions with {channels[0]} and {channels[1]} channels on 8 x 8, N = {samples}"
        found.append(Bench(name, "cnn", size, description, partial(convolutional, channels, samples, name)))
    return {
        bench.name: bench for bench in sorted(found, key=lambda bench: ("softmax", "mlp", "cnn", "wide").index(bench.family))
    }


BENCHES = _catalogue()
