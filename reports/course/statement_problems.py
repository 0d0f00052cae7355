"""Small problems and tools with which the statements of the course are measured."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import grad, jacrev

from fishergauge.reference import Problem
from fishergauge.suites.closeness import relative_deviation, rounding_bound

DOUBLE = torch.float64


def normal(source: torch.Generator, *shape: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=source, dtype=DOUBLE)


def spd(source: torch.Generator, size: int, spread: float = 0.6) -> Tensor:
    """A symmetric positive definite matrix with eigenvalues from exp(-spread) to exp(spread)."""
    basis = torch.linalg.qr(normal(source, size, size)).Q
    value: Tensor = (basis * torch.linspace(-spread, spread, size, dtype=DOUBLE).exp()) @ basis.T
    return value


def condition(matrix: Tensor) -> float:
    """The condition number in the spectral norm."""
    return float(torch.linalg.cond(matrix))


def bound(size: int, *matrices: Tensor) -> float:
    """What rounding explains in float64 for sums of so many terms and these inverses."""
    return rounding_bound(DOUBLE, size, math.prod(condition(matrix) for matrix in matrices))


def deviation(actual: Tensor, expected: Tensor) -> float:
    """Norm of the difference over that of the expected."""
    return relative_deviation(actual, expected)


def turned(actual: Tensor, expected: Tensor) -> float:
    """The sine of the angle between two vectors: a deviation that no step length hides."""
    unit = expected / expected.norm()
    return float((actual - (actual @ unit) * unit).norm() / actual.norm())


def null_share(matrix: Tensor) -> float:
    """The share of directions in which a symmetric positive semi-definite matrix is zero up to rounding."""
    values = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    cutoff = len(values) * torch.finfo(values.dtype).eps * float(values[-1])
    return float((values <= cutoff).double().mean())


def filled(model: nn.Module, source: torch.Generator, scale: float = 0.7) -> nn.Module:
    """A model made on the device "meta", with normal parameters: no global generator is touched."""
    model = model.to_empty(device="cpu").to(DOUBLE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * normal(source, *parameter.shape))
    return model


def perceptron(source: torch.Generator, widths: tuple[int, int, int], samples: int, squared: bool = False) -> Problem:
    """A network with one hidden layer of tanh, under softmax cross-entropy or summed squared error."""
    inner, hidden, outer = widths
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(inner, hidden), nn.Tanh(), nn.Linear(hidden, outer))
    inputs = 0.5 + normal(source, samples, inner)
    if squared:
        return Problem(filled(model, source), nn.MSELoss(reduction="sum"), [(inputs, normal(source, samples, outer))])
    return Problem(filled(model, source), nn.CrossEntropyLoss(), [(inputs, classes(source, samples, outer))])


def linear_layer(source: torch.Generator, inner: int, outer: int, samples: int, squared: bool = False) -> Problem:
    """One layer without bias, under softmax cross-entropy or squared error."""
    with torch.device("meta"):
        model = nn.Linear(inner, outer, bias=False)
    inputs = 0.5 + normal(source, samples, inner)
    if squared:
        return Problem(filled(model, source), nn.MSELoss(), [(inputs, normal(source, samples, outer))])
    return Problem(filled(model, source), nn.CrossEntropyLoss(), [(inputs, classes(source, samples, outer))])


def hessian(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The Hessian in the first argument, by reverse mode twice: right for every function, and without torch.jit."""
    return jacrev(grad(function))


def classes(source: torch.Generator, samples: int, count: int) -> Tensor:
    """Labels, all classes equally likely."""
    return torch.randint(count, (samples,), generator=source)


def regression(source: torch.Generator, samples: int = 50, features: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets of another linear model with noise, and the parameters where things are measured."""
    inputs = normal(source, samples, features)
    targets = inputs @ normal(source, features) + 0.5 * normal(source, samples)
    return inputs, targets, normal(source, features)


def binary(source: torch.Generator, samples: int = 60, features: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels 0 or 1 of another logistic model, and the parameters where things are measured."""
    inputs = normal(source, samples, features)
    chance = torch.sigmoid(inputs @ normal(source, features))
    labels = (torch.rand(samples, generator=source, dtype=DOUBLE) < chance).to(DOUBLE)
    return inputs, labels, normal(source, features)


def logistic_fisher(inputs: Tensor, parameters: Tensor) -> Tensor:
    """The mean over the samples of the Fisher of a logistic model, in closed form."""
    chance = torch.sigmoid(inputs @ parameters)
    return (inputs.T * (chance * (1 - chance))) @ inputs / len(inputs)


def logistic_loss(inputs: Tensor, labels: Tensor, parameters: Tensor) -> Tensor:
    """The mean negative log-likelihood of a logistic model."""
    outputs = inputs @ parameters
    return (torch.nn.functional.softplus(outputs) - labels * outputs).mean()
