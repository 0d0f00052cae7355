"""The problems of the experiments draw from generators of their own, and leave torch's global one alone."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fishergauge.reports.course.convergence_deep_linear import deep_linear
from fishergauge.reports.course.convergence_least_squares import least_squares
from fishergauge.reports.course.convergence_logistic import logistic_regression
from fishergauge.reports.course.convergence_noise import noisy_regression
from fishergauge.reports.course.newton_problems import MODELS, newton_problem, small_network
from fishergauge.reports.course.parametrisation_curves import teacher_problem
from fishergauge.reports.course.policy_measurements import initial_policy
from fishergauge.reports.course.unset_modules import unset, unset_linear

BUILDERS: dict[str, Callable[[], object]] = {
    **{name: lambda name=name: newton_problem(name, 0).vector for name in MODELS},  # type: ignore[misc]
    "small network": lambda: small_network(0).vector,
    "teacher": lambda: teacher_problem(0).vector,
    "least squares": lambda: least_squares(10.0, 0)[0].vector,
    "logistic with three features": lambda: logistic_regression(3).vector,
    "noise": lambda: noisy_regression(0.5, 0).vector,
    "deep linear": lambda: deep_linear(2, 10.0, 0)[0].vector,
    "policy": lambda: nn.utils.parameters_to_vector(initial_policy(0).parameters()),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_problems_neither_read_nor_move_the_global_generator(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = BUILDERS[name]()
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        again = BUILDERS[name]()
    assert isinstance(first, torch.Tensor)
    assert isinstance(again, torch.Tensor)
    assert torch.equal(first, again)


def test_a_layer_without_values_draws_none_and_an_ordinary_one_does() -> None:
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        layer = unset_linear(3, 2, bias=False)
        convolution = unset(lambda: nn.Conv2d(1, 2, 3))
        assert torch.equal(torch.get_rng_state(), before)
        assert convolution.weight.device.type == "cpu"
        nn.Linear(3, 2)  # the control
        assert not torch.equal(torch.get_rng_state(), before)
    assert layer.weight.shape == (2, 3)
    assert layer.weight.dtype == torch.float64
    assert layer.bias is None
