"""Models that are vouched for treat samples one by one, and no other model is vouched for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap

from fishergauge.reference import Problem, ProblemError, empirical_fisher
from fishergauge.reference import sample_gradients as per_sample
from fishergauge.reference.sample_wise import ELEMENTWISE, POOLS, is_sample_wise
from fishergauge.suites.benchmarks.problems import BENCHES
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.counted import counted
from fishergauge.suites.zoo import Setting

MIXING: dict[str, Callable[[], nn.Module]] = {
    "softmax over samples": lambda: nn.Softmax(0),
    "flattened samples": lambda: nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (4, 3))),
    "averages of adaptive pools": lambda: nn.AdaptiveAvgPool1d(3),
    "unknown": lambda: _Centred(),
    "a subclass": lambda: _Tanh(),
}


class _Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class _Tanh(nn.Tanh):
    """Its forward is another one."""

    def forward(self, input: Tensor) -> Tensor:
        return (input - input.mean(0)).tanh()


def _problem(*modules: nn.Module) -> Problem:
    s = Setting("sample-wise models")
    return s.problem(lambda: nn.Sequential(nn.Linear(2, 3), *modules), nn.MSELoss(), [(s.normal(4, 2), s.normal(4, 3))], None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*ELEMENTWISE, *POOLS, nn.Flatten])
def test_what_is_vouched_for_gives_a_sample_alone_what_it_gives_in_the_batch(kind: Any) -> None:
    sizes = {nn.AvgPool1d: (2, 3, 4), nn.AvgPool2d: (2, 3, 4, 4), nn.AvgPool3d: (2, 3, 4, 4, 4)}
    module = kind(2) if kind in POOLS else kind()
    for shape in (sizes.get(kind, (4, 3, 5)), sizes.get(kind, (4, 3, 5))[:-1]):  # the batch axis last taken for channels, too
        if len(shape) == 2 and kind in POOLS:
            shape = (4, 6)
        inputs = torch.linspace(-2, 2, torch.Size(shape).numel(), dtype=torch.float64).view(shape).cos()
        assert_close(vmap(lambda x: module(x[None])[0])(inputs), module(inputs), f"{kind.__name__} of {shape}")


@pytest.mark.parametrize("name", ["softmax-small", "mlp-small", "cnn-small"])
def test_the_models_of_the_benchmarks_are_vouched_for(name: str) -> None:
    assert is_sample_wise(BENCHES[name].problem())


@pytest.mark.parametrize("how", MIXING)
def test_no_other_module_is_vouched_for(how: str) -> None:
    assert is_sample_wise(_problem(nn.Tanh()))
    problem = _problem(MIXING[how]())
    assert not is_sample_wise(problem)
    if how in ("softmax over samples", "unknown", "a subclass"):
        with pytest.raises(ProblemError, match="mixes samples"):
            empirical_fisher(problem).dense()


def test_hooks_frozen_convolutions_and_inputs_of_one_axis_are_not_vouched_for() -> None:
    problem = _problem(nn.Tanh())
    hooked = Problem(copy.deepcopy(problem.model), problem.loss, problem.batches)
    hooked.model[1].register_forward_hook(lambda module, args, output: output - output.mean(0))  # type: ignore[index]
    assert not is_sample_wise(hooked)
    with pytest.raises(ProblemError, match="mixes samples"):
        empirical_fisher(hooked).dense()
    cnn = BENCHES["cnn-small"].problem()
    frozen = Problem(copy.deepcopy(cnn.model), cnn.loss, cnn.batches)
    frozen.model[0].requires_grad_(False)  # type: ignore[index]
    assert is_sample_wise(cnn)
    assert not is_sample_wise(frozen)


def test_gradients_of_samples_take_one_evaluation_of_all_and_one_of_one() -> None:
    problem = BENCHES["softmax-small"].problem()
    samples, size = problem.num_samples, problem.num_parameters
    with counted() as counts:
        rows = per_sample(problem)
    assert counts.flops <= 2 * (samples + 1) * size
    with counted() as control:
        per_sample(problem), problem.outputs
    assert control.flops > 2 * (samples + 1) * size
    assert_apart(rows[:1], rows[1:2], "two samples")
