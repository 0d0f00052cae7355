"""Models, losses and data on which the route by BackPACK is examined."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo import Setting

SAMPLES = 5
CE, MSE, BCE = nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss
SECOND_ORDER = frozenset({"ggn", "ggn_diagonal", "hessian_diagonal", "kflr"})
FIRST_ORDER = frozenset({"empirical_fisher", "empirical_fisher_diagonal"})
BLOCKS = frozenset({"kflr"})
HESSIAN = frozenset({"hessian_diagonal"})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Case:
    """A model, the shape of one of its inputs, a loss, and the quantities that BackPACK does not support there.

    Inputs are integers where the model begins with an ``Embedding``.
    """

    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    loss: nn.Module
    refused: frozenset[str] = NONE


def seq(*modules: nn.Module) -> nn.Sequential:
    """The modules one after the other."""
    return nn.Sequential(*modules)


def mlp(outputs: int, activation: nn.Module | None = None) -> nn.Sequential:
    """Three inputs, four hidden units."""
    return seq(nn.Linear(3, 4), activation or nn.Tanh(), nn.Linear(4, outputs))


def flat(features: int) -> nn.Sequential:
    """A classifier of two classes on all features."""
    return seq(nn.Flatten(), nn.Linear(features, 2))


def pooled(module: nn.Module, features: int) -> nn.Sequential:
    """A convolution, a module under examination, a classifier."""
    return seq(nn.Conv2d(2, 3, 2), nn.Tanh(), module, *flat(features))


def tied() -> nn.Sequential:
    """Two layers with one weight."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return seq(first, nn.Tanh(), second)


def _frozen() -> nn.Sequential:
    model = seq(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model.get_parameter("0.bias").requires_grad_(False)
    model.get_parameter("2.weight").requires_grad_(False)
    return model


def _of_type(loss: type[nn.Module], outputs: int) -> dict[str, Case]:
    return {
        f"mlp-{loss.__name__}-{reduction}": Case(partial(mlp, outputs), (3,), loss(reduction=reduction))
        for reduction in ("mean", "sum")
    }


CASES: dict[str, Case] = {
    **_of_type(CE, 3),
    **_of_type(MSE, 2),
    **_of_type(BCE, 1),
    "nested": Case(lambda: seq(seq(nn.Linear(3, 4), nn.Sigmoid()), seq(nn.Linear(4, 2, bias=False))), (3,), CE()),
    "frozen": Case(_frozen, (3,), CE()),
    "smoothing": Case(lambda: mlp(3), (3,), CE(label_smoothing=0.2)),
    "relu": Case(lambda: mlp(3, nn.ReLU()), (3,), CE()),
    "leaky-relu": Case(lambda: mlp(3, nn.LeakyReLU(0.1)), (3,), CE(), BLOCKS),
    "log-sigmoid": Case(lambda: mlp(3, nn.LogSigmoid()), (3,), CE(), BLOCKS),
    "elu": Case(lambda: mlp(3, nn.ELU(2.0)), (3,), CE(), BLOCKS),
    "selu": Case(lambda: mlp(3, nn.SELU()), (3,), CE(), BLOCKS),
    "identity": Case(lambda: mlp(3, nn.Identity()), (3,), CE(), HESSIAN),
    "dropout": Case(lambda: mlp(3, nn.Dropout()), (3,), CE()),
    "gelu": Case(lambda: mlp(3, nn.GELU()), (3,), CE(), SECOND_ORDER),
    "batchnorm": Case(
        lambda: seq(nn.BatchNorm1d(3), *mlp(4), nn.BatchNorm1d(4), nn.Tanh()),
        (3,),
        CE(),
        HESSIAN | BLOCKS,
    ),
    "embedding": Case(lambda: seq(nn.Embedding(7, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)), (4,), CE(), HESSIAN | BLOCKS),
    "shared-linear": Case(lambda: seq(nn.Linear(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)), (2, 3), CE(), BLOCKS),
    "positions": Case(lambda: seq(nn.Conv1d(3, 4, 2), nn.Tanh(), nn.Conv1d(4, 2, 1)), (3, 5), CE(), FIRST_ORDER),
    "mse-positions": Case(lambda: mlp(2), (4, 3), MSE(), SECOND_ORDER | FIRST_ORDER),
    "mse-one-position": Case(lambda: mlp(2), (1, 3), MSE(), SECOND_ORDER),
    "mse-one-axis": Case(lambda: seq(*mlp(1), nn.Flatten(0)), (3,), MSE(), SECOND_ORDER | FIRST_ORDER),
    "bce-two-outputs": Case(lambda: mlp(2), (3,), BCE(), SECOND_ORDER),
    "conv2d": Case(
        lambda: seq(nn.Conv2d(2, 3, 2, stride=2, padding=(1, 0), dilation=(1, 2)), nn.Tanh(), *flat(18)), (2, 5, 5), CE()
    ),
    "conv2d-groups": Case(lambda: seq(nn.Conv2d(4, 8, 2, groups=2), nn.Tanh(), *flat(32)), (4, 3, 3), CE(), BLOCKS),
    "conv3d": Case(lambda: seq(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.MaxPool3d(2), *flat(2)), (1, 3, 3, 3), CE(), BLOCKS),
    "conv-transpose": Case(
        lambda: seq(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.ConvTranspose2d(2, 4, 2, groups=2), nn.Tanh(), *flat(64)),
        (2, 3, 3),
        CE(),
        BLOCKS,
    ),
    "max-pool": Case(lambda: pooled(nn.MaxPool2d(3, 2, 1, ceil_mode=True), 27), (2, 5, 5), CE()),
    "avg-pool": Case(lambda: pooled(nn.AvgPool2d(2, 2, 1), 27), (2, 5, 5), CE()),
    "avg-pool-uncounted": Case(
        lambda: pooled(nn.AvgPool2d(2, 2, 1, count_include_pad=False), 27), (2, 5, 5), CE(), SECOND_ORDER
    ),
    "adaptive-pool": Case(lambda: pooled(nn.AdaptiveAvgPool2d((1, 2)), 6), (2, 5, 5), CE(), frozenset({"ggn", "kflr"})),
    "zero-pad": Case(lambda: pooled(nn.ZeroPad2d((1, 0, 2, 1)), 105), (2, 5, 5), CE()),
    "batchnorm2d": Case(lambda: pooled(nn.BatchNorm2d(3), 48), (2, 5, 5), CE(), HESSIAN | BLOCKS),
}


def problem_of(
    model: nn.Module,
    shape: tuple[int, ...],
    loss: nn.Module,
    dtype: torch.dtype = torch.float64,
    sizes: tuple[int, ...] = (2, 3),
) -> Problem:
    """A problem with parameters, data and running statistics from one seed, in batches of unequal size."""
    setting = Setting("backpack", dtype)
    model = model.to(dtype).eval()
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(setting.normal(*buffer.shape).abs() + 0.5)
    if any(isinstance(module, nn.Embedding) for module in model.modules()):
        inputs = setting.labels(7, sum(sizes), *shape)
    else:
        inputs = setting.normal(sum(sizes), *shape)
    targets = _targets_for(loss, model(inputs).detach())
    pieces = torch.split(inputs, list(sizes)), torch.split(targets, list(sizes))
    return setting.problem(lambda: model, loss, list(zip(*pieces, strict=True)), Facts())


def case(name: str, dtype: torch.dtype = torch.float64) -> Problem:
    """The problem of that name."""
    entry = CASES[name]
    return problem_of(entry.model(), entry.shape, entry.loss, dtype)


def _targets_for(loss: nn.Module, outputs: Tensor) -> Tensor:
    """Labels for every sample but of no special structure."""
    if isinstance(loss, CE):
        return torch.arange(outputs[:, 0].numel()).remainder(outputs.shape[1]).reshape(outputs[:, 0].shape)
    if isinstance(loss, BCE):
        return torch.arange(outputs.numel()).remainder(2).reshape(outputs.shape).to(outputs.dtype)
    return torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
