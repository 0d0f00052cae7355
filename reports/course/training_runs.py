"""Training runs of SGD with momentum, Adam and K-FAC on the digits, over the same grid."""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fishergauge.reference.optimizers import Kfac
from fishergauge.reports.course.digit_problems import CLASSES, images, initialise
from fishergauge.reports.course.unset_modules import unset
from fishergauge.reports.data import load
from fishergauge.suites.seeding import generator

METHODS = ("sgd", "adam", "kfac")
MODELS = ("mlp", "cnn")
RATES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
SECOND = {"sgd": (0.9, 0.99), "adam": (0.9, 0.99), "kfac": (1e-1, 1e-3)}
"""The second hyper-parameter: momentum, beta_1, damping."""
BATCH = 128
HELD_OUT = 247  # of the training part, to choose hyper-parameters by
KL_LIMIT = 1e-3
INVERSE_EVERY = 5
FINITE = 1e6
EPOCHS = 15  # of K-FAC, and where all methods are compared at equal epochs
MORE = {"mlp": 16, "cnn": 4}  # times as many epochs for the others, so that they reach K-FAC's wall time


def network(architecture: str, seed: int) -> nn.Module:
    """A network at its initial parameters: ``"mlp"``, 60-32-10 with tanh, or ``"cnn"``, two strided convolutions and a layer.

    Drawn weights have variance 1 / D_in, biases are zero; the global generator is left alone.
    """
    model = unset(_convolutional if architecture == "cnn" else _perceptron)
    initialise(model, generator("training", architecture, seed))
    return model


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(60, 32), nn.Tanh(), nn.Linear(32, CLASSES))


def _convolutional() -> nn.Module:
    first, second = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Flatten(), nn.Linear(64, CLASSES))


def parts(architecture: str, device: str = "cpu") -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs in float32 and labels to train on, to choose hyper-parameters by, and to test on."""
    data = load("digits", device)
    train, test = data.inputs.float(), data.test_inputs.float()
    if architecture == "cnn":
        train, test = images(train), images(test)
    cut = len(train) - HELD_OUT
    return {
        "training": (train[:cut], data.targets[:cut]),
        "validation": (train[cut:], data.targets[cut:]),
        "test": (test, data.test_targets),
    }


def optimizer_of(method: str, model: nn.Module, loss: nn.Module, rate: float, second: float, seed: int) -> Optimizer:
    """The optimiser of a method at a point of the grid."""
    if method == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=second)
    if method == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, betas=(second, 0.999))
    source = torch.Generator().manual_seed(seed)
    return Kfac(
        model, loss, lr=rate, damping=second, momentum=0.9, kl_limit=KL_LIMIT, inverse_every=INVERSE_EVERY, generator=source
    )


def epochs_of(architecture: str, method: str, epochs: int) -> int:
    """How many epochs a method runs if K-FAC runs ``epochs``."""
    return epochs if method == "kfac" else MORE[architecture] * epochs


def training_rows(architecture: str, method: str, rate: float, second: float, seed: int, epochs: int) -> list[dict[str, Any]]:
    """One run: loss and accuracy on all three parts as it goes on.

    Args:
        architecture: one of :data:`MODELS`.
        method: one of :data:`METHODS`.
        rate: of learning.
        second: see :data:`SECOND`.
        seed: of initial parameters, order of the batches and drawn labels.
        epochs: of K-FAC; the others run :data:`MORE` times as many.

    Returns:
        One row an evaluation: before the first step, after every epoch at first and every fifth later, and at the end;
        ``failed`` in the last one if the loss has ceased to be a finite number of reasonable size.
    """
    data, model, loss = parts(architecture), network(architecture, seed), nn.CrossEntropyLoss()
    optimizer = optimizer_of(method, model, loss, rate, second, seed)
    rows: list[dict[str, Any]] = [{"epoch": 0, "step": 0, "failed": False, **_scores(model, data)}]
    count = epochs_of(architecture, method, epochs)
    try:
        for epoch, step in enumerate(_epochs(model, loss, optimizer, data["training"], seed, count), 1):
            if epoch > epochs and epoch % 5 and epoch < count:
                continue
            scores = _scores(model, data)
            failed = not all(abs(value) < FINITE for value in scores.values())  # also for NaN
            rows.append({"epoch": epoch, "step": step, "failed": failed, **scores})
            if failed:
                break
    finally:
        if isinstance(optimizer, Kfac):
            optimizer.close()
    return rows


def step_seconds(architecture: str, method: str, steps: int = 60) -> float:
    """The median wall time of a step, forward and backward pass included, in seconds."""
    data, model, loss = parts(architecture), network(architecture, 0), nn.CrossEntropyLoss()
    optimizer = optimizer_of(method, model, loss, 1e-2, SECOND[method][0], 0)
    inputs, labels = (tensor[:BATCH] for tensor in data["training"])
    seconds = []
    for _ in range(10 + steps):
        start = time.perf_counter()
        _step(model, loss, optimizer, inputs, labels)
        seconds.append(time.perf_counter() - start)
    if isinstance(optimizer, Kfac):
        optimizer.close()
        groups = zip(*[iter(seconds[10:])] * INVERSE_EVERY, strict=False)  # one inversion in each
        seconds = [0.0] * 10 + [sum(group) / INVERSE_EVERY for group in groups]
    return median(seconds[10:])


def _epochs(
    model: nn.Module, loss: nn.Module, optimizer: Optimizer, data: tuple[Tensor, Tensor], seed: int, epochs: int
) -> Iterator[int]:
    """Train; yield the number of steps after each epoch. The last, smaller batch of an epoch is left out."""
    inputs, labels = data
    source, step = generator("training order", seed), 0
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=source)
        for first in range(0, len(order) - BATCH + 1, BATCH):
            index = order[first : first + BATCH]
            _step(model, loss, optimizer, inputs[index], labels[index])
            step += 1
        yield step


def _step(model: nn.Module, loss: nn.Module, optimizer: Optimizer, inputs: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    loss(model(inputs), labels).backward()
    optimizer.step()


def _scores(model: nn.Module, data: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Mean loss and accuracy on each part, in evaluation mode, which K-FAC does not see."""
    model.eval()
    scores = {}
    with torch.no_grad():
        for name, (inputs, labels) in data.items():
            outputs = model(inputs)
            scores[f"{name}_loss"] = float(nn.functional.cross_entropy(outputs, labels))
            scores[f"{name}_accuracy"] = float((outputs.argmax(1) == labels).double().mean())
    model.train()
    return scores
