"""Two small networks on the digits: a perceptron on the pixels, and a convolutional network on the images."""

import copy
import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, gradient, objective
from fishergauge.reports.course.unset_modules import unset
from fishergauge.reports.data import load
from fishergauge.suites.seeding import generator

SAMPLES = 200
CLASSES = 10
SIDE = 8
BLANK = (0, 24, 32, 39)  # pixels that do not vary in the training part and so are no features
RATE = 0.02
LONGEST = 1500  # steps of a run
MIDWAY, NEAR = 0.5, 0.02  # of the initial loss


def digit_problem(architecture: str, seed: int, samples: int = SAMPLES, device: str = "cpu") -> Problem:
    r"""A network at its initial parameters, :math:`w \sim N(0, 1 / D_{in})`, biases zero, on images of the training part.

    Args:
        architecture: ``"mlp"``, 60-8-10 with tanh (P = 578), or ``"cnn"``, two strided convolutions and a linear layer
            (P = 512).
        seed: of the initial parameters.
        samples: N.
        device: where it lives; the draws are made on the CPU.

    Returns:
        The problem, with softmax cross-entropy under mean reduction.

    Raises:
        KeyError: there is no such architecture.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> digit_problem("cnn", 0, samples=10).num_parameters
        512
    """
    data = load("digits", device)
    inputs = data.inputs[:samples]
    model = unset({"mlp": _perceptron, "cnn": _convolutional}[architecture])
    initialise(model, generator("digit problem", architecture, seed))
    if architecture == "cnn":
        inputs = images(inputs)
    return Problem(model.to(device), nn.CrossEntropyLoss(), [(inputs, data.targets[:samples])], f"{architecture}-{seed}")


def images(features: Tensor) -> Tensor:
    """The features put back at their pixels, zero at the blank ones: ``(N, 60) -> (N, 1, 8, 8)``."""
    lit = [pixel for pixel in range(SIDE**2) if pixel not in BLANK]
    pixels = features.new_zeros(len(features), SIDE**2)
    pixels[:, lit] = features
    return pixels.view(-1, 1, SIDE, SIDE)


def initialise(model: nn.Module, source: torch.Generator) -> None:
    """Draw weights of variance 1 / D_in, and set biases to zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=source, dtype=parameter.dtype)
            parameter.copy_(drawn / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else torch.zeros_like(drawn))


def along_a_run(problem: Problem) -> "OrderedDict[str, Problem]":
    """Three points of a run of Adam on all samples: its start, and where the loss has fallen to a half and to a fiftieth.

    Args:
        problem: at its initial parameters; left as it is.

    Returns:
        The problem at ``"start"``, ``"midway"`` and ``"near optimum"``; the last is the end of the run where a fiftieth is not
        reached.
    """
    model = copy.deepcopy(problem.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    points = OrderedDict(start=problem)
    first = float(objective(problem))
    for _ in range(LONGEST):
        optimizer.zero_grad()
        loss = problem.loss(model(problem.inputs), problem.targets)
        reached = float(loss.detach()) / first
        if reached <= MIDWAY and "midway" not in points:
            points["midway"] = _here(problem, model)
        if reached <= NEAR:
            break
        loss.backward()
        optimizer.step()
    points.setdefault("midway", _here(problem, model))
    points["near optimum"] = _here(problem, model)
    return points


def state_of(problem: Problem, start: Problem) -> dict[str, float]:
    """Loss, accuracy on the training samples, and the norm of the gradient relative to that at the start."""
    right = problem.outputs.argmax(-1) == problem.targets
    return {
        "loss": float(objective(problem)),
        "accuracy": float(right.double().mean()),
        "gradient": float(gradient(problem).norm() / gradient(start).norm()),
    }


def _here(problem: Problem, model: nn.Module) -> Problem:
    return problem.at(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))


def _perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(SIDE**2 - len(BLANK), 8, dtype=torch.float64), nn.Tanh(), nn.Linear(8, CLASSES, dtype=torch.float64)
    )


def _convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1, dtype=torch.float64),
        nn.Tanh(),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, dtype=torch.float64),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(24, CLASSES, dtype=torch.float64),
    )
