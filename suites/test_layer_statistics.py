"""Inputs of layers and gradients at their outputs: what they are, and which models are refused."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import LayerStatistics, Problem, ProblemError, UnsupportedError, ggn, kfac, output_jacobian
from fishergauge.reference.patches import patches
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import Setting, zoo_problem

CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A convolution and the sizes of its input, small, with every option."""
    axes = draw(st.integers(1, 3))
    several = st.tuples(*[st.integers(1, 3)] * axes)
    padding = draw(st.one_of(st.tuples(*[st.integers(0, 2)] * axes), st.sampled_from(["same", "valid"])))
    stride = (1,) * axes if padding == "same" else draw(several)
    mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    kernel, dilation = draw(several), draw(st.tuples(*[st.integers(1, 2)] * axes))
    with torch.random.fork_rng(devices=[]):
        module = CONVOLUTIONS[axes](
            draw(st.integers(1, 2)), 2, kernel, stride, padding, dilation, padding_mode=mode, dtype=torch.float64
        )
    sizes = draw(st.tuples(*[st.integers(5, 7)] * axes))
    return module, (2, module.in_channels, *sizes)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@unhurried
@given(convolutions(), st.integers(0, 2**31 - 1))
def test_a_convolution_is_its_weight_times_patches(drawn: tuple[Any, tuple[int, ...]], seed: int) -> None:
    module, shape = drawn
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        outputs = module(inputs)
        columns = patches(module, inputs)
        assert_close(
            columns @ module.weight.flatten(1).T + module.bias, outputs.flatten(2).mT, "W a + b", size=columns.shape[-1]
        )


def test_patches_in_another_order_would_be_seen() -> None:
    with torch.random.fork_rng(devices=[]):
        module = nn.Conv2d(2, 2, 2, bias=False, dtype=torch.float64)
    inputs = torch.randn(1, 2, 3, 3, generator=generator("patches"), dtype=torch.float64)
    with torch.no_grad():
        columns, outputs = patches(module, inputs), module(inputs).flatten(2).mT
        swapped = columns.reshape(1, 4, 2, 4).mT.flatten(-2)
        assert_close(columns @ module.weight.flatten(1).T, outputs, "channels first")
        assert_apart(swapped @ module.weight.flatten(1).T, outputs, "channels last")


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "conv1d-tagging", "pooled-positions", "frozen-first-layer"])
def test_gradients_and_inputs_give_the_jacobian(name: str) -> None:
    problem = zoo_problem(name)
    statistics = LayerStatistics(problem)
    jacobian = output_jacobian(problem)
    width = jacobian.shape[1]
    root = torch.eye(width, dtype=problem.dtype).expand(len(jacobian), width, width)
    rows = []
    for gradients in statistics.gradients(root):
        pieces = {}
        for layer in statistics.layers.values():
            g = gradients[layer.name]
            if layer.weight is not None:
                pieces[layer.weight] = torch.einsum("rnto,nti->nroi", g, layer.inputs).flatten(2)
            if layer.bias is not None:
                pieces[layer.bias] = g.sum(2).movedim(0, 1)
        rows.append(torch.cat([pieces[parameter] for parameter in problem.parameters], -1))
    assert_close(torch.stack(rows, 1).flatten(0, 1), jacobian, "rows by layers", size=problem.num_parameters)


class _Applied(nn.Module):
    """Two linear maps joined in a way to be chosen."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.last, self.how = nn.Linear(2, 2), nn.Linear(2, 2), how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "twice":
            return self.last(self.first(self.first(x)))  # type: ignore[no-any-return]
        if self.how == "unused":
            return self.first(x)  # type: ignore[no-any-return]
        if self.how == "direct":
            return self.last(self.first(x) @ self.first.weight)  # type: ignore[no-any-return]
        if self.how == "functional":
            return nn.functional.linear(self.first(x), self.last.weight, self.last.bias)
        if self.how == "positions first":
            return self.last(self.first(x[:, None].expand(-1, 3, -1).transpose(0, 1)).mean(0))  # type: ignore[no-any-return]
        if self.how == "merged":
            wide = x[:, None] + torch.arange(3, dtype=x.dtype)[:, None]
            return self.last(self.first(wide.flatten(0, 1)).tanh().unflatten(0, (-1, 3)).mean(1))  # type: ignore[no-any-return]
        if self.how == "in place":
            return self.last(self.first(input=x).tanh_())  # type: ignore[no-any-return]
        return self.last(self.first(x).tanh())  # type: ignore[no-any-return]


def _applied(how: str) -> Problem:
    s = Setting("layer statistics")
    return s.problem(lambda: _Applied(how), nn.MSELoss(), [(s.normal(3, 2), s.normal(3, 2))], zoo_problem("deep-linear").facts)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("twice", "first is used 2 times"),
        ("unused", "last is used 0 times"),
        ("direct", "weight of first acts on the outputs by another way"),
        ("functional", "last is used 0 times"),
        ("positions first", "first axis of what enters first does not count the samples"),
    ],
)
def test_a_layer_that_is_not_used_plainly_once_is_refused(how: str, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        LayerStatistics(_applied(how))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("prelu", r"1 \(PReLU\) owns the trained 1.weight"),
        ("batch-norm", r"1 \(BatchNorm1d\) owns the trained 1.weight"),
        ("cnn", "groups=2"),
        ("tied-autoencoder", "encoder.weight is tied"),
        ("recurrent", r"layer \(GRU\) owns"),
        ("attention", r"embedding \(Embedding\) owns"),
    ],
)
def test_other_modules_are_refused_by_name(name: str, why: str) -> None:
    with pytest.raises(NotImplementedError, match=why):
        kfac(zoo_problem(name))


def test_work_in_place_and_keyword_arguments_change_nothing() -> None:
    assert_close(kfac(_applied("in place")).dense(), kfac(_applied("plain")).dense(), "in place")


def test_positions_merged_into_the_first_axis_are_positions() -> None:
    statistics = LayerStatistics(_applied("merged"))
    assert {name: layer.inputs.shape[1] for name, layer in statistics.layers.items()} == {"first": 3, "last": 1}


def test_masked_positions_do_not_count() -> None:
    statistics = LayerStatistics(zoo_problem("conv1d-tagging"))
    assert statistics.counted("0").tolist() == [[False, True, True, True]] * 5
    masked = LayerStatistics(zoo_problem("masked-labels"))
    assert masked.counted("0")[:, 0].tolist() == [True, False, True, True, False, False, False]


def test_a_root_that_does_not_fit_is_refused() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    with pytest.raises(ProblemError, match=r"expected a root \(6, R, 3\)"):
        list(LayerStatistics(problem).gradients(torch.ones(6, 3, 2, dtype=torch.float64)))


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "conv1d-tagging", "frozen-first-layer", "recurrent"])
def test_nothing_is_left_changed(name: str) -> None:
    problem = zoo_problem(name)
    before = state_of(problem)
    try:
        with torch.no_grad():
            kfac(problem)
    except UnsupportedError:
        assert name == "recurrent"
    assert_untouched(problem, before)


def test_the_graph_is_not_that_of_the_model() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    list(LayerStatistics(problem).gradients(ggn(problem).root))
    assert all(p.grad is None for p in problem.model.parameters())
