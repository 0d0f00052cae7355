"""Forward and backward passes are counted as defined, through torch.func, vmap, copies and double backward."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vjp, vmap

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.passes import Count, count, count_prepared
from fishergauge.suites.benchmarks.small_benches import SMALL
from fishergauge.suites.untouched import assert_untouched, state_of


@pytest.fixture
def problem() -> Problem:
    return SMALL["tiny-mlp"].problem()


def gradient(problem: Problem, create_graph: bool = False) -> tuple[Tensor, ...]:
    loss = problem.loss(problem.model(problem.inputs), problem.targets)
    return torch.autograd.grad(loss, list(problem.model.parameters()), create_graph=create_graph)


def passes(found: Count) -> tuple[int, int]:
    return found.forward_passes, found.backward_passes


def test_an_evaluation_is_one_forward_pass(problem: Problem) -> None:
    assert passes(count(lambda: problem.model(problem.inputs), problem)) == (1, 0)
    with torch.no_grad():
        assert passes(count(lambda: problem.model(problem.inputs), problem)) == (1, 0)


def test_a_gradient_is_one_pass_each_way(problem: Problem) -> None:
    assert passes(count(lambda: gradient(problem), problem)) == (1, 1)


def test_the_loss_alone_is_no_model(problem: Problem) -> None:
    outputs = problem.outputs
    assert passes(count(lambda: problem.loss(outputs, problem.targets), problem)) == (0, 0)


def test_samples_one_by_one_are_one_pass_together(problem: Problem) -> None:
    assert passes(count(lambda: [problem.model(one[None]) for one in problem.inputs], problem)) == (1, 0)


def test_every_output_by_itself_is_a_backward_pass(problem: Problem) -> None:
    def rows() -> None:
        outputs = problem.model(problem.inputs)
        for column in outputs.T:
            torch.autograd.grad(column.sum(), list(problem.model.parameters()), retain_graph=True)

    assert passes(count(rows, problem)) == (1, 3)


def test_double_backward_goes_back_through_the_backward_pass_and_through_the_model(problem: Problem) -> None:
    def product() -> None:
        slope = gradient(problem, create_graph=True)
        torch.autograd.grad(torch.stack([piece.sum() for piece in slope]).sum(), list(problem.model.parameters()))

    assert passes(count(product, problem)) == (1, 3)


def test_gradients_of_samples_under_vmap_are_one_pass(problem: Problem) -> None:
    parameters = {name: value.detach() for name, value in problem.parameters.items()}

    def value(at: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        loss: Tensor = problem.loss(functional_call(problem.model, at, (one[None],)), label[None])
        return loss

    rows = vmap(grad(value), (None, 0, 0))
    assert passes(count(lambda: rows(parameters, problem.inputs, problem.targets), problem)) == (1, 1)

    def three_times() -> None:
        for _ in range(3):
            rows(parameters, problem.inputs, problem.targets)

    assert passes(count(three_times, problem)) == (3, 3)


def test_a_jacobian_of_each_sample_is_a_pass_for_each_output(problem: Problem) -> None:
    parameters = {name: value.detach() for name, value in problem.parameters.items()}

    def outputs(at: dict[str, Tensor], one: Tensor) -> Tensor:
        found: Tensor = functional_call(problem.model, at, (one[None],))
        return found[0]

    assert passes(count(lambda: vmap(jacrev(outputs), (None, 0))(parameters, problem.inputs), problem)) == (1, 3)


def test_several_cotangents_at_once_are_several_passes(problem: Problem) -> None:
    parameters = {name: value.detach() for name, value in problem.parameters.items()}

    def pulled() -> None:
        pull = vjp(lambda at: functional_call(problem.model, at, (problem.inputs,)), parameters)[1]
        vmap(lambda u: pull(u)[0])(torch.ones(7, 20, 3, dtype=torch.float64))

    assert passes(count(pulled, problem)) == (1, 7)


def test_a_copy_of_the_model_counts(problem: Problem) -> None:
    assert passes(count(lambda: copy.deepcopy(problem.model)(problem.inputs), problem)) == (1, 0)


def test_another_model_does_not_count(problem: Problem) -> None:
    other = nn.Sequential(nn.Linear(3, 3, dtype=torch.float64))
    assert passes(count(lambda: other(problem.inputs), problem)) == (0, 0)


def test_passes_through_a_graph_that_was_prepared_count_and_its_making_does_not(problem: Problem) -> None:
    def prepare(problem: Problem):  # type: ignore[no-untyped-def]
        outputs, parameters = problem.model(problem.inputs), list(problem.model.parameters())
        return lambda: torch.autograd.grad(outputs, parameters, torch.ones_like(outputs), retain_graph=True)

    assert passes(count_prepared(prepare, problem)) == (0, 1)
    assert passes(count(prepare(problem), problem)) == (0, 0), "a call that is prepared outside is the control"


def test_operations_are_those_that_torch_counts(problem: Problem) -> None:
    assert count(lambda: torch.ones(2, 3) @ torch.ones(3, 4), problem).flops == 48


def test_counting_leaves_everything_as_it_was_also_after_an_exception(problem: Problem) -> None:
    before = state_of(problem)
    count(lambda: gradient(problem), problem)
    with pytest.raises(ZeroDivisionError):
        count(lambda: 1 / 0, problem)
    assert_untouched(problem, before)
    assert not torch.nn.modules.module._global_forward_hooks
