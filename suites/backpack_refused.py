"""Problems that BackPACK does not support, and those of them that it would get wrong without an error."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.backpack_cases import CE, MSE, SAMPLES, case, flat, mlp, pooled, problem_of, seq, tied

FIRST = ("empirical_fisher", "empirical_fisher_diagonal")
SECOND = ("ggn", "ggn_diagonal", "hessian_diagonal", "kflr")
EXACT_SECOND = SECOND[:3]


@dataclass(frozen=True)
class Refused:
    """A problem, the quantities that refuse it, words of the refusal, and those that would be silently wrong."""

    problem: Callable[[], Problem]
    quantities: tuple[str, ...]
    words: str
    wrong: tuple[str, ...] = ()


class _Scaled(nn.Sequential):
    def forward(self, values: Tensor) -> Tensor:
        outputs: Tensor = super().forward(values)  # type: ignore[no-untyped-call]
        return 2 * outputs


class _Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, values: Tensor) -> Tensor:
        outputs: Tensor = self.second(torch.tanh(self.first(values)))
        return outputs


class _Softmax(nn.CrossEntropyLoss):
    pass


def _hooked() -> nn.Sequential:
    model = mlp(3)
    model[1].register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
    return model


def _forwarded() -> nn.Sequential:
    model = mlp(3)
    model[1].forward = torch.sigmoid
    return model


def _reused() -> nn.Sequential:
    activation = nn.Tanh()
    return seq(nn.Linear(3, 3), activation, nn.Linear(3, 3), activation, nn.Linear(3, 3))


def _unused() -> nn.Sequential:
    model = mlp(3)
    model.register_parameter("temperature", nn.Parameter(torch.ones(1)))
    return model


def _masked() -> Problem:
    problem = problem_of(mlp(3), (3,), CE())
    targets = problem.targets.clone()
    targets[1] = -100
    return Problem(problem.model, problem.loss, [(problem.inputs, targets)])


def _soft() -> Problem:
    """Class probabilities that do not sum to one."""
    problem = problem_of(mlp(3), (3,), CE())
    targets = nn.functional.one_hot(problem.targets, 3).to(problem.dtype) * 0.7
    return Problem(problem.model, problem.loss, [(problem.inputs, targets)])


def _weighted() -> Problem:
    return problem_of(mlp(3), (3,), CE(weight=torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)))


def _on_vectors(model: Callable[[], nn.Module], words: str, wrong: tuple[str, ...] = ()) -> Refused:
    """Refused by all quantities, on inputs of three features."""
    return Refused(lambda: problem_of(model(), (3,), CE()), FIRST + SECOND, words, wrong)


SETTINGS = {
    "padding-mode": Refused(
        lambda: problem_of(seq(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), *flat(64)), (2, 4, 4), CE()),
        FIRST + SECOND,
        "padding_mode='circular'",
        FIRST + EXACT_SECOND,
    ),
    "padding-word": Refused(
        lambda: problem_of(seq(nn.Conv2d(2, 4, 3, padding="same"), *flat(64)), (2, 4, 4), CE()),
        FIRST + SECOND,
        "padding='same'",
    ),
    "divisor": Refused(
        lambda: problem_of(pooled(nn.AvgPool2d(2, divisor_override=3), 12), (2, 5, 5), CE()),
        SECOND,
        "divisor_override=3",
        EXACT_SECOND,
    ),
    "ceil": Refused(
        lambda: problem_of(pooled(nn.AvgPool2d(3, 2, ceil_mode=True), 12), (2, 5, 5), CE()), SECOND, "requested an output size"
    ),
    "output-padding": Refused(
        lambda: problem_of(seq(nn.ConvTranspose1d(2, 2, 2, stride=2, output_padding=1), *flat(14)), (2, 3), CE()),
        FIRST + SECOND,
        "ConvTranspose1d|invalid for input|einsum",
    ),
    "negative-pad": Refused(
        lambda: problem_of(pooled(nn.ZeroPad2d((-1, 0, 0, 1)), 45), (2, 5, 5), CE()), FIRST + SECOND, "negative padding"
    ),
    "unbatched": Refused(
        lambda: problem_of(seq(nn.Conv1d(SAMPLES, SAMPLES, 1), nn.Linear(3, 3)), (3,), CE(), sizes=(SAMPLES,)),
        FIRST + SECOND,
        "inputs of 2 axes",
    ),
    "one-vector": Refused(
        lambda: problem_of(nn.Linear(SAMPLES, SAMPLES), (), MSE(), sizes=(SAMPLES,)), FIRST + SECOND, "no batch of vectors"
    ),
    "padding-index": Refused(
        lambda: problem_of(seq(nn.Embedding(7, 3, padding_idx=0), nn.Linear(3, 2)), (), CE()),
        FIRST + SECOND[:2],
        "Only padding_idx=None supported",
    ),
}

STRUCTURE = {
    "tied": _on_vectors(tied, "tied parameter", FIRST + EXACT_SECOND),
    "reused": _on_vectors(_reused, "used twice"),
    "hook": _on_vectors(_hooked, "hooks or a forward of its own", EXACT_SECOND),
    "forward": _on_vectors(_forwarded, "hooks or a forward of its own"),
    "subclass": _on_vectors(lambda: _Scaled(*mlp(3)), "the model \\(_Scaled\\)"),
    "functional": _on_vectors(_Functional, "operations outside of modules"),
    "parametrized": _on_vectors(
        lambda: seq(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
        "ParametrizedLinear",
    ),
    "layer-norm": _on_vectors(lambda: seq(*mlp(3), nn.LayerNorm(3)), "LayerNorm"),
    "unused": _on_vectors(_unused, "no attribute"),
    "inplace": _on_vectors(lambda: mlp(3, nn.ReLU(inplace=True)), "inplace=True"),
}

LOSSES = {
    "masked": Refused(_masked, SECOND, "masked labels", EXACT_SECOND),
    "mask-index": Refused(lambda: problem_of(mlp(3), (3,), CE(ignore_index=7)), SECOND, "Only default ignore_index"),
    "probabilities": Refused(_soft, SECOND, "class probabilities", EXACT_SECOND),
    "weights": Refused(_weighted, SECOND, "with weights"),
    "loss-subclass": Refused(lambda: problem_of(mlp(3), (3,), _Softmax()), SECOND, "_Softmax, a subclass"),
    "positions": Refused(lambda: case("positions"), FIRST, "4 terms a sample", FIRST),
    "mse-positions": Refused(lambda: case("mse-positions"), FIRST, "4 terms a sample", FIRST),
}

REFUSED = SETTINGS | STRUCTURE | LOSSES
