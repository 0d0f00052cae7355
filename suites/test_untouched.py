"""Nothing of the model, the data or the process is left changed, also after an exception."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, gradient
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import zoo_problem

PROBLEMS = ["mlp-tanh-softmax", "batch-norm", "attention", "masked-labels"]
CALLS: dict[str, Callable[[Quantities, Problem], object]] = {
    "gradient": lambda q, p: q.gradient(p),
    "hessian": lambda q, p: (q.hessian(p).dense(), q.hessian(p) @ p.vector, q.hessian(p).diagonal()),
    "ggn": lambda q, p: (q.ggn(p).dense(), q.ggn(p) @ p.vector),
    "fisher": lambda q, p: q.fisher(p).blocks(),
    "empirical_fisher": lambda q, p: q.empirical_fisher(p).dense(),
    "monte_carlo_fisher": lambda q, p: q.monte_carlo_fisher(p, 2, generator("untouched")).dense(),
    "kl_divergence": lambda q, p: q.kl_divergence(p, p.vector + 0.1),
    "kl_matched_step": lambda q, p: q.kl_matched_step(p, q.gradient(p), 1e-3),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("call", CALLS)
def test_a_computation_leaves_everything_as_it_was(name: str, call: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    for parameter in problem.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = state_of(problem)
    CALLS[call](quantities, problem)
    assert_untouched(problem, before)


@pytest.mark.parametrize("call", CALLS)
def test_a_failed_computation_leaves_everything_as_it_was(call: str, quantities: Quantities) -> None:
    original = zoo_problem("mlp-tanh-softmax")
    model = nn.Sequential(copy.deepcopy(original.model), _Fuse())
    problem = Problem(model, original.loss, original.batches)
    before = state_of(problem)
    _Fuse.blown = True
    try:
        with pytest.raises(RuntimeError, match="blown"):
            CALLS[call](quantities, problem)
    finally:
        _Fuse.blown = False
    assert_untouched(problem, before)


def test_a_problem_at_other_parameters_leaves_the_first_alone() -> None:
    problem = zoo_problem("tied-autoencoder")
    before = state_of(problem)
    other = problem.at(problem.vector + 1)
    assert_untouched(problem, before)
    assert torch.equal(other.vector, problem.vector + 1)


def test_a_module_under_two_names_keeps_its_parameters() -> None:
    problem = Problem(_Twice().double(), nn.MSELoss(), [(torch.ones(3, 2).double(), torch.zeros(3, 2).double())])
    before = state_of(problem)
    gradient(problem)
    assert_untouched(problem, before)
    assert all(isinstance(problem.model.get_parameter(f"linear.{name}"), nn.Parameter) for name in ("weight", "bias"))


class _Twice(nn.Module):
    """Has one module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.again = self.linear

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.again(self.linear(inputs).tanh())
        return outputs


class _Fuse(nn.Module):
    """Passes its input on until it is blown."""

    blown = False

    def forward(self, inputs: Tensor) -> Tensor:
        if self.blown:
            raise RuntimeError("the fuse is blown")
        return inputs
