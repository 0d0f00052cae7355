"""Which models can be put into other coordinates: unusual ones are the same function there, or are refused with the reason."""

import copy
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fishergauge.reference import FAMILIES, Problem, ProblemError, UnsupportedError, ggn, gradient, layer_maps, reparametrized
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.layer_maps import LayerMap, with_layer_maps
from fishergauge.reference.layers import layers_of
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.reparametrized_cases import GENERAL, LAYERWISE, original
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import Setting


class Wrapped(nn.Module):
    """A layer and what is done with it."""

    def __init__(self, evaluate: Callable[[Any, Tensor], Tensor], layer: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3) if layer is None else layer
        self.evaluate = evaluate

    def forward(self, inputs: Tensor) -> Tensor:
        return self.evaluate(self, inputs)


class TwoNames(nn.Module):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.ModuleList([self.first])

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.second[0](torch.tanh(self.first(inputs)))
        return outputs


class OutOfSight(nn.Module):
    """Keeps the weight of its layer in a list, where no parameter is looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.kept = [self.layer.weight]

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs) + 0.1 * linear(inputs, self.kept[0])
        return outputs


class Scaled(nn.Linear):
    """A linear layer with a parameter more."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.scale = nn.Parameter(torch.ones(3))


Mode = Literal["zeros", "circular", "reflect", "replicate"]
MODES: tuple[Mode, ...] = ("zeros", "circular", "reflect", "replicate")


def padded(mode: Mode, padding: Any) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    return lambda: nn.Sequential(nn.Conv2d(2, 2, (2, 3), padding=padding, padding_mode=mode), nn.Flatten()), (2, 4, 4)


def _transposed() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.weight = nn.Parameter(torch.zeros(3, 3).T)
    return layer


def _hooked() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda module, inputs, output: output.relu())
    return nn.Sequential(layer, nn.Linear(3, 2))


def _frozen_bias() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    model.get_parameter("0.bias").requires_grad_(False)
    return model


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "root": (lambda: nn.Linear(3, 2), (3,)),
    "root-convolution": (lambda: nn.Conv1d(2, 3, 2, padding=1), (2, 5)),
    "two-names": (TwoNames, (3,)),
    "keyword": (lambda: Wrapped(lambda self, inputs: self.layer(input=inputs)), (3,)),
    "transposed-storage": (_transposed, (3,)),
    "in-place": (lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)), (3,)),
    "frozen-bias": (_frozen_bias, (3,)),
    "another-parameter": (lambda: nn.Sequential(nn.Linear(3, 3), Scaled()), (3,)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 2, 2, padding=1), nn.Flatten(), nn.Linear(54, 1)), (2, 2, 2, 2)),
    "conv1d-same": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 4, padding="same", dilation=2), nn.Flatten(), nn.Linear(15, 2)),
        (2, 5),
    ),
    **{f"{m}-{p}": padded(m, p) for m in MODES for p in (1, "same", (1, 2))},
    "lstm": (lambda: Wrapped(lambda self, inputs: self.layer(inputs)[0], nn.LSTM(3, 2, batch_first=True)), (3, 3)),
    "attention": (
        lambda: Wrapped(lambda self, x: self.layer(x, x, x)[0], nn.MultiheadAttention(4, 2, batch_first=True)),
        (3, 4),
    ),
    "encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 6, 0.0, batch_first=True), (3, 4)),
    "weight-norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 2)),
        (3,),
    ),
}


def problem_of(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> Problem:
    s = Setting("models")
    module = s.module(model)
    inputs = s.normal(*reversed(shape), 4).permute(*reversed(range(len(shape) + 1)))  # not contiguous
    with torch.no_grad(), differentiable_attention():
        outputs = module(inputs)
    return Problem(module, nn.MSELoss(), [(inputs, torch.zeros_like(outputs))])


def supported(problem: Problem) -> set[str]:
    """The families with a map; in their coordinates gradient and curvature are those of the same function."""
    slope, matrix = gradient(copy.deepcopy(problem)), ggn(copy.deepcopy(problem)).dense()
    found = set()
    for family in FAMILIES:
        try:
            r = reparametrized(problem, family)
        except UnsupportedError as error:
            if not any(words in str(error) for words in REASONS):
                raise
            continue
        found.add(family)
        size = float(torch.linalg.matrix_norm(r.jacobian, 2))
        expected = r.jacobian.T @ slope
        note = f"under {family}"
        assert_close(
            gradient(copy.deepcopy(r.problem)), expected, note, condition=r.condition, scale=size * float(slope.norm())
        )
        expected, size = r.jacobian.T @ matrix @ r.jacobian, size**2 * float(matrix.norm())
        assert_close(ggn(copy.deepcopy(r.problem)).dense(), expected, note, condition=r.condition, scale=size)
    return found


REASONS = ("the model has no", "enter no linear layer", "these layers have none")
ALONE = {"root", "two-names", "keyword", "transposed-storage", "another-parameter"}
ONE_CONVOLUTION = {"root-convolution"} | {key for key in MODELS if key.startswith(MODES)}
MISSING: dict[str, set[str]] = {
    **{key: {"hidden-affine"} for key in ALONE},
    **{key: {"hidden-affine", "joint-kronecker"} for key in ONE_CONVOLUTION},
    **{key: {"scaling", "inputs-linear", "inputs-affine"} for key in ("frozen-bias", "encoder", "weight-norm")},
    **{key: set(LAYERWISE) for key in ("lstm", "attention")},
}
"""The families that have no map for the model; all others have one."""


@pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", MODELS)
def test_unusual_models_are_the_same_function_in_other_coordinates(name: str) -> None:
    assert supported(problem_of(*MODELS[name])) == set(FAMILIES) - MISSING.get(name, set())


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda self, inputs: self.layer(inputs) + linear(inputs, self.layer.weight),
        lambda self, inputs: self.layer(inputs) / self.layer.in_features,
    ],
    ids=["weight", "setting"],
)
def test_a_model_that_looks_into_its_layers_is_refused(evaluate: Callable[[Any, Tensor], Tensor]) -> None:
    problem = problem_of(lambda: Wrapped(evaluate), (3,))
    for family in LAYERWISE:
        with pytest.raises(UnsupportedError, match=r"AttributeError.*call the layers as modules|no hidden activations"):
            reparametrized(problem, family)
    assert set(GENERAL) <= supported(problem_of(lambda: Wrapped(lambda self, x: linear(x, self.layer.weight)), (3,)))


@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e15])
@pytest.mark.parametrize("family", ["affine", "kronecker", "dense", "diagonal", "sinh"])
def test_a_parameter_out_of_sight_is_refused(family: str, kappa: float) -> None:
    with pytest.raises(UnsupportedError, match=r"another function: the gradient differs.*named_parameters"):
        reparametrized(problem_of(OutOfSight, (3,)), family, kappa)


@pytest.mark.parametrize("kappa", [10.0, 1e15])
def test_a_hook_that_does_not_commute_with_the_map_is_refused(kappa: float) -> None:
    with pytest.raises(UnsupportedError, match=r"another function: the outputs differ"):
        reparametrized(problem_of(_hooked, (3,)), "pre-activations", kappa)


DEFECTS: dict[str, tuple[Any, str, Any, str]] = {
    "zeros of the padding are mapped": (layer_maps, "_padding", lambda module: None, "the outputs differ"),
    "the map is transposed": (layer_maps._Mapped, "transform", lambda self: torch.kron(self.outer, self.columns), "gradient"),
    "the kernel comes before the channels": (
        layer_maps._Mapped,
        "transform",
        lambda self: torch.kron(self.columns.T.contiguous(), self.outer),
        "the gradient differs",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_maps_themselves_is_noticed(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(*MODELS["zeros-1"])
    reparametrized(problem, "affine")
    owner, name, wrong, seen = DEFECTS[defect]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(UnsupportedError, match=f"another function: .*{seen}"):
        reparametrized(problem, "affine")


@pytest.mark.parametrize(
    ("name", "layer_map", "error", "words"),
    [
        ("1", LayerMap(), UnsupportedError, "1 is no linear module"),
        ("0", LayerMap(inner=torch.eye(3)), ProblemError, r"expected a map of shape \(4, 4\), got \(3, 3\)"),
        ("0", LayerMap(outer=torch.zeros(4, 4)), ProblemError, "no inverse"),
        ("0", LayerMap(outer=torch.full((4, 4), torch.nan)), ProblemError, "not finite"),
    ],
)
def test_maps_that_do_not_fit_are_refused(name: str, layer_map: LayerMap, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        with_layer_maps(original("mlp-tanh-softmax"), {name: layer_map})


def test_inputs_and_bias_of_a_convolution_are_not_mixed() -> None:
    a_bar = torch.randn(3, 3, generator=generator("mixed"))
    with pytest.raises(UnsupportedError, match="mixes inputs and bias is defined for Linear alone"):
        with_layer_maps(original("conv-padding-sum"), {"0": LayerMap(inner=a_bar)})


def test_layers_are_handed_out_without_hooks_and_seen_before_work_in_place() -> None:
    problem = problem_of(lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.ReLU(inplace=True)), (3,))
    first, second = layers_of(problem)
    assert not first.module._forward_hooks
    assert (first.first, first.last, second.first, second.last) == (True, False, False, False)
    assert not any(module._forward_hooks for module in reparametrized(problem, "affine").problem.model.modules())
