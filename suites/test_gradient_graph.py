"""Products with the Hessian through the graph of the gradient: what they are, what they cost, and that they are a snapshot."""

import copy
from itertools import pairwise
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad

from fishergauge.reference import Problem, hessian
from fishergauge.reference.gradient_graph import GradientGraph
from fishergauge.reference.hessian import Hessian
from fishergauge.reference.oracle import oracle_hessian
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.test_linearization import SAMPLES, WIDTHS, flops_of, forward_flops, product_flops
from fishergauge.suites.zoo import zoo_problem

PROBLEMS = ["mlp-tanh-softmax", "attention", "frozen-first-layer", "recurrent", "tied-autoencoder", "batch-norm", "prelu"]
INTO = sum(2 * SAMPLES * before * after for before, after in pairwise(WIDTHS[1:]))


def _vectors(problem: Problem, count: int = 3) -> Tensor:
    source = generator("gradient graph", problem.name)
    return torch.randn(problem.num_parameters, count, generator=source, dtype=torch.float64).to(problem.dtype)


def _own(name: str) -> Problem:
    problem = zoo_problem(name)
    return Problem(copy.deepcopy(problem.model), problem.loss, problem.batches)


@pytest.mark.parametrize("name", PROBLEMS)
def test_products_one_and_many_are_those_of_the_oracle(name: str) -> None:
    problem = zoo_problem(name)
    wanted, v = oracle_hessian(problem) @ _vectors(problem), _vectors(problem)
    matrix = hessian(problem)
    assert_close(matrix @ v, wanted, "several at once", size=problem.num_parameters)
    assert_close(matrix @ v[:, 0], wanted[:, 0], "one", size=problem.num_parameters)
    assert_apart(matrix @ -v, wanted, "the sign")


def test_constant_residuals_leave_the_second_summand_alone() -> None:
    problem, v = zoo_problem("mlp-tanh-softmax"), _vectors(zoo_problem("mlp-tanh-softmax"))
    matrix = hessian(problem)
    wanted = matrix @ v - matrix.ggn @ v
    assert_close(matrix._rest_graph.products(v.T).T, wanted, "H - G", scale=float((matrix @ v).norm()))
    assert_apart(matrix._graph.products(v.T).T, wanted, "the whole Hessian")


def test_the_gradient_of_a_linear_model_is_constant_in_its_parameters() -> None:
    linear = Problem(nn.Linear(2, 1), nn.MSELoss(), [(torch.ones(3, 2), torch.zeros(3, 1))])
    assert hessian(linear)._rest_graph.constant([0, 1])
    assert not hessian(zoo_problem("mlp-tanh-softmax"))._rest_graph.constant([0])


@pytest.mark.parametrize("multiplied_before", [False, True])
def test_products_are_those_at_the_parameters_with_which_the_matrix_was_made(multiplied_before: bool) -> None:
    problem = _own("mlp-tanh-softmax")
    v = _vectors(problem)
    wanted, matrix = hessian(problem) @ v, hessian(problem)
    if multiplied_before:
        matrix @ v
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.mul_(1.5)
    assert torch.equal(matrix @ v, wanted)
    assert_apart(hessian(problem) @ v, wanted, "the matrix made anew")


def test_products_are_differentiable_in_the_vector_and_inside_transforms() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix, v = hessian(problem), _vectors(problem)[:, 0]
    wanted = 2 * (matrix @ v)
    assert_close(grad(lambda x: x @ (matrix @ x))(v), wanted, "by torch.func.grad", size=len(v))
    assert_close(grad(lambda x: x @ (hessian(problem) @ x))(v), wanted, "made inside a transform", size=len(v))
    leaf = v.clone().requires_grad_()
    (leaf @ (matrix @ leaf)).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert_close(leaf.grad, wanted, "by backward", size=len(v))
    assert not (matrix @ v).requires_grad


# --- accuracy -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(reduction="sum"), nn.CrossEntropyLoss(label_smoothing=0.1)])
@pytest.mark.parametrize("confident", [0.0, 60.0, -60.0])
def test_output_hessians_multiply_accurately_however_confident(loss: nn.CrossEntropyLoss, confident: float) -> None:
    outputs = torch.tensor([[confident, 0.0, 1.0], [0.5, confident, 0.1]], dtype=torch.float64)
    labels = torch.tensor([0, 2])
    problem = Problem(nn.Linear(1, 3).double(), loss, [(torch.ones(2, 1).double(), labels)])
    residuals, multiply = problem.likelihood.derivatives(outputs, labels)
    torch.testing.assert_close(residuals, problem.likelihood.residuals(outputs, labels), rtol=1e-14, atol=0)
    blocks = problem.likelihood.hessian(outputs, labels)
    for unit in torch.eye(3, dtype=torch.float64):  # each entry to its own accuracy
        torch.testing.assert_close(multiply(unit.expand(2, 3)), blocks @ unit, rtol=1e-13, atol=0)


def test_scores_at_several_labels_are_those_at_each() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    outputs = problem.likelihood.split(problem.outputs).flatten(0, 1)
    labels = torch.arange(outputs.shape[1])[:, None].expand(-1, len(outputs))
    together = problem.likelihood.scores_at(outputs, labels)
    one_by_one = [problem.likelihood.scores(outputs, each) for each in labels]
    torch.testing.assert_close(together, torch.stack(one_by_one, 1), rtol=1e-14, atol=0)


# --- what it costs ------------------------------------------------------------------------------------------------------------


def test_a_product_costs_six_matrix_products_a_layer_and_no_evaluation() -> None:
    problem = perceptron(WIDTHS, SAMPLES, "counted products")
    v, made = _vectors(problem)[:, 0], []
    forward = forward_flops(WIDTHS, SAMPLES)
    assert flops_of(lambda: made.append(hessian(problem))) == forward
    each = 2 * forward + 4 * INTO  # the first layer has no derivative of its inputs
    assert flops_of(lambda: made[0] @ v) == each + forward + INTO  # the gradient's graph first
    for _ in range(2):
        assert flops_of(lambda: made[0] @ v) == each
    with mock.patch("fishergauge.reference.hessian.differentiated_in", return_value=True):
        separate = flops_of(lambda: made[0] @ v)  # the two summands, each with its own passes
    assert separate >= each + product_flops(WIDTHS, SAMPLES)


def test_the_model_is_evaluated_once_for_a_matrix_and_all_that_is_made_of_it() -> None:
    calls: list[int] = []
    problem = perceptron(WIDTHS, SAMPLES, "counted products")
    handle = problem.model.register_forward_hook(lambda *_: calls.append(1))
    matrix = hessian(problem)
    matrix @ _vectors(problem)
    matrix._rest(slice(0, WIDTHS[0] * WIDTHS[1]))
    handle.remove()
    assert len(calls) == 1


def test_the_graph_is_made_once() -> None:
    matrix = Hessian(perceptron(WIDTHS, SAMPLES, "counted products"))
    with mock.patch("fishergauge.reference.hessian.GradientGraph", wraps=GradientGraph) as made:
        matrix @ _vectors(matrix.problem)
        matrix @ _vectors(matrix.problem)
    assert made.call_count == 1
