"""The catalogue has every kind of problem that it must have, and a quick subset that covers most."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from fishergauge.reference import Problem
from fishergauge.suites.tags import TAGS, tags_of
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem
from fishergauge.suites.zoo.layers import Divided

PROBLEMS = {name: catalogue_problem(name) for name in CATALOGUE}
OF_TAGS = {name: tags_of(problem) for name, problem in PROBLEMS.items()}
LOSSES = ("squared", "categorical", "binary")

TAG_COVERAGE: tuple[str, ...] = (
    *[f"{loss} {rest}" for loss in LOSSES for rest in ("mean", "sum", "one-sample several-outputs", "equal-inputs")],
    *[f"{loss} linear-model several-outputs" for loss in LOSSES],
    *["squared linear-model !several-outputs", "binary linear-model !several-outputs"],
    *["squared several-batches", "categorical several-batches", "categorical several-batches masked"],
    *["squared deep-linear !linear-model !sharing mean", "squared deep-linear !linear-model !sharing sum"],
    *[f"squared deep-linear expand {reduction}" for reduction in ("mean", "sum")],
    *[f"squared deep-linear reduce {reduction}" for reduction in ("mean", "sum")],
    *[f"squared deep-linear sharing several-terms !expand !reduce {reduction}" for reduction in ("mean", "sum")],
    *["squared expand !deep-linear", "categorical reduce !deep-linear", "categorical expand masked", "binary expand"],
    *["piecewise-linear !linear-model !deep-linear categorical", "piecewise-linear !linear-model !deep-linear squared"],
    *["masked mean", "masked sum", "tied", "!float-inputs", "categorical !likelihood", "binary !likelihood"],
    *["product-data squared mean", "product-data sum", "saturated categorical", "saturated binary"],
    *["natural-parameters categorical", "natural-parameters binary"],
    *["over-parametrised linear-model squared", "over-parametrised linear-model categorical"],
    *[f"many-terms linear-model {loss}" for loss in LOSSES],
    *["squared deep-linear expand linear-layers !linear-model", "binary !several-outputs !linear-model"],
    *["many-terms expand masked linear-model", "many-terms squared sum !several-outputs"],
    *[f"many-terms {rest}" for rest in ("sum", "several-batches", "!linear-model squared", "!linear-model categorical")],
)

QUICK_COVERAGE: tuple[str, ...] = (
    *LOSSES,
    *["mean", "sum", "one-sample", "deep-linear", "equal-inputs", "product-data", "expand", "reduce", "masked", "saturated"],
    *["categorical !likelihood", "several-batches", "piecewise-linear !linear-model !deep-linear"],
)


def _convolutions(problem: Problem) -> Iterator[_ConvNd]:
    return (module for module in problem.model.modules() if isinstance(module, _ConvNd))


def _has(*kinds: type[nn.Module]) -> Callable[[Problem], bool]:
    return lambda problem: all(any(isinstance(m, kind) for m in problem.model.modules()) for kind in kinds)


def _convolves(condition: Callable[[_ConvNd], bool]) -> Callable[[Problem], bool]:
    return lambda problem: any(condition(module) for module in _convolutions(problem))


def _single_convolution(problem: Problem, padded: bool) -> bool:
    layers = [module for module in problem.model.modules() if module._parameters]
    return (
        len(layers) == 1
        and isinstance(layers[0], nn.Conv2d)
        and layers[0].stride == (2, 2)
        and layers[0].dilation == (1, 1)
        and (layers[0].padding != (0, 0)) == padded
        and {"squared", "expand", "deep-linear"} <= tags_of(problem)
    )


def _asymmetric(layer: _ConvNd) -> bool:
    kernel = layer.weight.detach()
    square = kernel.ndim == 4 and kernel.shape[-1] == kernel.shape[-2] > 1 and layer.stride != layer.dilation
    return square and float((kernel - kernel.mT).norm()) > 0.5 * float(kernel.norm())


def _along_one_axis(layers: list[_ConvNd]) -> bool:
    """Whether one has stride, dilation and no padding, and one of width one keeps the length, both said in a word."""
    valid = any(c.padding == "valid" and c.stride == c.dilation == (2,) for c in layers)
    return valid and any(c.padding == "same" and c.kernel_size == (1,) for c in layers)


def _linear_shapes(problem: Problem) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in problem.model.modules() if isinstance(m, nn.Linear)]


def _calls(problem: Problem) -> list[nn.Linear]:
    """The linear layers in the order in which one evaluation calls them."""
    called: list[nn.Linear] = []
    layers = [m for m in problem.model.modules() if isinstance(m, nn.Linear)]
    hooks = [m.register_forward_hook(lambda layer, *_: called.append(layer)) for m in layers]
    problem.model(problem.inputs)
    for hook in hooks:
        hook.remove()
    return called


def _other_order(problem: Problem) -> bool:
    registered = [m for m in problem.model.modules() if isinstance(m, nn.Linear)]
    called = _calls(problem)
    return len(called) > 1 and [id(m) for m in called] == [id(m) for m in reversed(registered)]


def _frozen_last_layer(problem: Problem) -> bool:
    called = _calls(problem)
    last, others = called[-1:], called[:-1]
    trained = [all(p.requires_grad for p in m.parameters()) for m in others]
    return bool(trained) and all(trained) and not any(p.requires_grad for m in last for p in m.parameters())


def _ignores_a_class(problem: Problem) -> bool:
    loss = problem.loss
    classes = isinstance(loss, nn.CrossEntropyLoss) and 0 <= loss.ignore_index < problem.outputs.shape[1]
    return classes and "masked" in tags_of(problem) and "likelihood" in tags_of(problem)


def _regular_factors(problem: Problem) -> bool:
    """Whether there are several linear layers and both Kronecker factors of each can be inverted."""
    layers = [m for m in problem.model.modules() if isinstance(m, nn.Linear)]
    seen: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda _, x, z: seen.extend((x[0].detach(), z))) for m in layers]
    outputs = problem.model(problem.inputs)
    for hook in hooks:
        hook.remove()
    root = problem.likelihood.hessian_root(outputs.detach(), problem.likelihood.labels(problem.targets))
    slopes = [torch.autograd.grad((outputs * row).sum(), seen[1::2], retain_graph=True) for row in root.unbind(1)]
    for index, layer in enumerate(layers):
        x = seen[2 * index]
        inputs = torch.cat([x, torch.ones_like(x[:, :1])], 1) if layer.bias is not None else x
        for rows in (inputs, torch.cat([slope[index] for slope in slopes])):
            if not float(torch.linalg.cond(rows.T @ rows)) < 1e6:
                return False
    return len(layers) > 1


def _wide_data(loss: type[nn.Module]) -> Callable[[Problem], bool]:
    return lambda problem: problem.num_samples == 40 and isinstance(problem.loss, loss) and _regular_factors(problem)


def _bias_free(problem: Problem) -> bool:
    return all(not name.endswith("bias") for name in problem.parameters) and len(problem.parameters) > 1


STRUCTURE_COVERAGE: dict[str, Callable[[Problem], bool]] = {
    "tanh": _has(nn.Tanh),
    "ReLU": _has(nn.ReLU),
    "stride": _convolves(lambda c: max(c.stride) > 1),
    "dilation": _convolves(lambda c: max(c.dilation) > 1),
    "groups": _convolves(lambda c: c.groups > 1),
    "padding": _convolves(lambda c: c.padding_mode == "zeros" and c.padding != (0, 0)),
    "circular padding": _convolves(lambda c: c.padding_mode == "circular"),
    "reflecting padding": _convolves(lambda c: c.padding_mode == "reflect"),
    "an asymmetric square kernel, stride and dilation different": _convolves(_asymmetric),
    "replicating padding and average pooling": lambda p: (
        _has(nn.AvgPool2d, nn.ReLU)(p) and _convolves(lambda c: c.padding_mode == "replicate")(p)),
    "kernel, stride, dilation and padding that differ between the axes": _convolves(
        lambda c: all(len(set(sizes)) == 2 for sizes in (c.kernel_size, c.stride, c.dilation, c.padding))),
    "one axis, padding given as a word": lambda p: _along_one_axis(list(_convolutions(p))),
    "a class at every pixel": lambda p: (
        isinstance(p.loss, nn.CrossEntropyLoss) and p.outputs.ndim == 4 and p.outputs.shape[2] != p.outputs.shape[3]),
    "patches that do not overlap, then a linear layer on each": lambda p: (
        p.facts.deep_linear and _has(nn.Linear)(p) and _convolves(lambda c: c.kernel_size == c.stride)(p)),
    "one convolution with stride under squared error": lambda p: _single_convolution(p, padded=False),
    "the same with padding": lambda p: _single_convolution(p, padded=True),
    "attention with layer normalisation": _has(nn.MultiheadAttention, nn.LayerNorm),
    "embeddings": _has(nn.Embedding),
    "dropout": _has(nn.Dropout),
    "batch normalisation": _has(nn.BatchNorm1d),
    "a recurrent layer": _has(nn.RNNBase),
    "no bias": _bias_free,
    "sizes of one": lambda p: (1, 1) in _linear_shapes(p),
    "one parameter": lambda p: p.num_parameters == 1,
    "square layers": lambda p: _linear_shapes(p) == [(3, 3), (3, 3)] and p.num_samples > 1,
    "one sample, square layers": lambda p: p.num_samples == 1 and _linear_shapes(p) == [(3, 3), (3, 3)],
    "one sample, no square layer": lambda p: p.num_samples == 1 and bool(s := _linear_shapes(p)) and all(
        a != b != a + 1 for a, b in s),
    "batches of 5 and 2": lambda p: [len(x) for x, _ in p.batches] == [5, 2],
    "batches of 250 and 150": lambda p: [len(x) for x, _ in p.batches] == [250, 150],
    "duplicated data": lambda p: len(p.batches) == 2 and torch.equal(*[x for x, _ in p.batches]),
    "frozen parameters": lambda p: any(not q.requires_grad for q in p.model.parameters()),
    "a frozen last layer": _frozen_last_layer,
    "a layer called twice": lambda p: any(_calls(p).count(layer) > 1 for layer in _calls(p)),
    "layers registered in another order than called": _other_order,
    "an ignored label that is a class": _ignores_a_class,
    "outputs (N,) for a binary label": lambda p: isinstance(p.loss, nn.BCEWithLogitsLoss) and p.outputs.ndim == 1,
    "two classes": lambda p: isinstance(p.loss, nn.CrossEntropyLoss) and p.outputs.shape[1] == 2,
    "four linear layers, five classes": lambda p: _linear_shapes(p) == [(3, 2), (2, 3), (3, 2), (2, 5)],
    "class weights": lambda p: isinstance(p.loss, nn.CrossEntropyLoss) and p.loss.weight is not None,
    "pos_weight": lambda p: isinstance(p.loss, nn.BCEWithLogitsLoss) and p.loss.pos_weight is not None,
    "variances other than one": _has(Divided),
    "two linear layers without bias": lambda p: "deep-linear" in tags_of(p) and len(p.parameters) == 2 and _bias_free(p),
    "three linear layers with bias": lambda p: p.facts.deep_linear and not p.facts.weight_sharing and len(p.parameters) == 6,
    "three linear layers without bias, invertible factors": lambda p: (
        p.facts.deep_linear and len(p.parameters) == 3 and _bias_free(p) and _regular_factors(p)),
    **{
        f"{loss.__name__}, 40 samples, invertible factors": _wide_data(loss)
        for loss in (nn.MSELoss, nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)
    },
    "nearly equal probabilities": lambda p: isinstance(p.loss, nn.CrossEntropyLoss) and p.num_samples == 400 and (
        float(p.outputs.softmax(-1).min()) > 0.1 and float(p.outputs.softmax(-1).max()) < 0.6),
    "skewed probabilities": lambda p: isinstance(p.loss, nn.CrossEntropyLoss) and p.num_samples == 400 and (
        float(p.outputs.softmax(-1).mean(0).max()) > 0.8),
    "eight Gaussian outputs": lambda p: p.num_samples == 400 and p.outputs.shape[-1] == 8,
}  # fmt: skip


def _matching(pattern: str, names: list[str]) -> list[str]:
    """Names of problems that have all tags of a pattern, and none of those after ``!``."""
    words = pattern.split()
    needed, barred = {w for w in words if w[0] != "!"}, {w[1:] for w in words if w[0] == "!"}
    assert needed | barred <= set(TAGS)
    return [name for name in names if needed <= OF_TAGS[name] and not barred & OF_TAGS[name]]


@pytest.mark.parametrize("pattern", TAG_COVERAGE)
def test_the_catalogue_covers_the_tags(pattern: str) -> None:
    assert _matching(pattern, list(CATALOGUE))


@pytest.mark.parametrize("pattern", QUICK_COVERAGE)
def test_the_quick_subset_covers_the_tags(pattern: str) -> None:
    assert _matching(pattern, [name for name, entry in CATALOGUE.items() if entry.quick])


def test_a_missing_kind_would_be_noticed() -> None:
    assert not _matching("tied saturated", list(CATALOGUE))
    assert not _matching("tied", [name for name in CATALOGUE if "tied" not in OF_TAGS[name]])


@pytest.mark.parametrize("kind", STRUCTURE_COVERAGE)
def test_the_catalogue_covers_the_structures_and_not_with_every_problem(kind: str) -> None:
    covering = [name for name, problem in PROBLEMS.items() if STRUCTURE_COVERAGE[kind](problem)]
    assert 0 < len(covering) < len(PROBLEMS) / 2, covering


def test_the_quick_subset_has_convolutions_and_statistics() -> None:
    quick = [name for name, entry in CATALOGUE.items() if entry.quick]
    assert 18 <= len(quick) <= 28
    assert sum("many-terms" in OF_TAGS[name] for name in quick) == 3
    assert any(list(_convolutions(PROBLEMS[name])) for name in quick)
