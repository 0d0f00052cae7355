"""The problems of the experiment Fisher against Hessian: two convex ones, a classifying network, a regressing network."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reports.course.convergence_logistic import logistic_regression
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.reports.data import load
from fishergauge.suites.seeding import generator

MODELS = ("logistic", "softmax", "classifier", "regression")
DATA = {"logistic": "breast-cancer", "softmax": "digits", "classifier": "digits", "regression": "teacher"}
CONVEX = ("logistic", "softmax")


def principal_components(inputs: Tensor, count: int) -> Tensor:
    """The coordinates of centred inputs ``(N, D)`` along their first principal axes, each of unit variance: ``(N, count)``."""
    centred = inputs - inputs.mean(0)
    coordinates = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:count].T
    scaled: Tensor = coordinates / coordinates.std(0)
    return scaled


def initialised(model: nn.Module, source: torch.Generator, gain: float = 1.0) -> nn.Module:
    """The model with its entries filled: normal weights of variance gain^2 / D_in, and biases of a tenth."""
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
            parameter.copy_(draw * (gain * parameter.shape[1] ** -0.5 if parameter.ndim == 2 else 0.1))
    return model


def newton_problem(name: str, seed: int, device: str = "cpu", noise: float = 0.0, distance: float = 0.3) -> Problem:
    """A problem at its start.

    Args:
        name: one of :data:`MODELS`. The regression has a teacher of the student's architecture, near the student's start.
        seed: of the start, and of what is drawn besides.
        device: of the problem.
        noise: standard deviation of the noise on the teacher's outputs.
        distance: standard deviation of the student's start around the teacher.

    Returns:
        The problem.
    """
    source = generator("newton", name, seed)
    if name == "logistic":
        return logistic_regression(5, device)
    if name == "regression":
        return _regression(source, noise, distance, device)
    data = load("digits", device)
    if name == "softmax":
        inputs, targets = principal_components(data.inputs, 4)[:500], data.targets[:500]
        model: nn.Module = initialised(unset_linear(4, 10), source)
    else:
        inputs, targets = principal_components(data.inputs, 10)[:300], data.targets[:300]
        model = initialised(nn.Sequential(unset_linear(10, 6), nn.Tanh(), unset_linear(6, 10)), source)
    return Problem(model.to(device), nn.CrossEntropyLoss(), [(inputs, targets)], name=name)


def small_network(seed: int, device: str = "cpu") -> Problem:
    """Breast-cancer by five features and four hidden units, P = 29: small enough for many Hessians."""
    source = generator("newton", "small network", seed)
    data = load("breast-cancer", device)
    model = initialised(nn.Sequential(unset_linear(5, 4), nn.Tanh(), unset_linear(4, 1)), source)
    pairs = [(data.inputs[:, :5], data.targets.double()[:, None])]
    return Problem(model.to(device), nn.BCEWithLogitsLoss(), pairs, name="small-network")


def _regression(source: torch.Generator, noise: float, distance: float, device: str) -> Problem:
    inputs = torch.randn(120, 2, generator=source, dtype=torch.float64)
    model = initialised(nn.Sequential(unset_linear(2, 5), nn.Tanh(), unset_linear(5, 1)), source, gain=1.5)
    with torch.no_grad():
        targets = model(inputs) + noise * torch.randn(120, 1, generator=source, dtype=torch.float64)
        for parameter in model.parameters():
            parameter.add_(distance * torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    return Problem(model.to(device), nn.MSELoss(), [(inputs.to(device), targets.to(device))], name="regression")
