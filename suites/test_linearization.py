"""Products with the Jacobians of the terms: what they are, what they cost, and that they are a snapshot."""

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad
from torch.utils.flop_counter import FlopCounterMode

from fishergauge.reference import Problem, ProblemError, ggn, output_jacobian
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.jacobian import pull_back, push_forward
from fishergauge.reference.linearization import Linearization, _WithoutZeroProducts, linearized_terms
from fishergauge.reference.terms import terms_of
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import zoo_problem

PROBLEMS = [
    "mlp-tanh-softmax",
    "attention",  # fused attention, and an embedding with padding_idx
    "frozen-first-layer",
    "recurrent",
    "tied-autoencoder",
    "batch-norm",
    "conv1d-tagging",
    "prelu",
]
WIDTHS, SAMPLES = (7, 6, 5, 3), 8


def _vectors(problem: Problem, count: int = 3) -> Tensor:
    source = generator("linearization", problem.name)
    return torch.randn(count, problem.num_parameters, generator=source, dtype=torch.float64).to(problem.dtype)


def _cotangents(problem: Problem, count: int = 3) -> Tensor:
    shape = (count, *terms_of(problem).outputs.shape)
    return torch.randn(shape, generator=generator("cotangents", problem.name), dtype=torch.float64).to(problem.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", PROBLEMS)
def test_products_are_those_of_the_jacobian(name: str, dtype: torch.dtype) -> None:
    problem = zoo_problem(name, dtype=dtype)
    jacobian = output_jacobian(problem)
    linearization = Linearization(problem)
    v, u = _vectors(problem), _cotangents(problem)
    size = problem.num_parameters
    assert_close(linearization.push(v), torch.einsum("kcp,bp->bkc", jacobian, v), "J v", size=size)
    assert_close(linearization.pull(u), torch.einsum("kcp,bkc->bp", jacobian, u), "J' u", size=jacobian[..., 0].numel())
    assert_apart(linearization.push(-v), torch.einsum("kcp,bp->bkc", jacobian, v), "the sign")


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_two_products_are_transposed(name: str) -> None:
    problem = zoo_problem(name)
    linearization, v, u = Linearization(zoo_problem(name)), _vectors(problem), _cotangents(problem)
    left = torch.einsum("akc,bkc->ab", u, linearization.push(v))
    assert_close(left, linearization.pull(u) @ v.T, "u' (J v) = (J' u)' v", size=problem.num_parameters)


@pytest.mark.parametrize("name", PROBLEMS)
def test_several_at_once_are_each_alone_and_those_of_the_functions(name: str) -> None:
    problem = zoo_problem(name)
    linearization, v, u = Linearization(problem), _vectors(problem), _cotangents(problem)
    pushed, pulled = linearization.push(v), linearization.pull(u)
    for i in range(len(v)):
        assert_close(linearization.push(v[i : i + 1])[0], pushed[i], "one vector", size=problem.num_parameters)
        assert_close(linearization.pull(u[i : i + 1])[0], pulled[i], "one cotangent", size=problem.num_parameters)
    outputs = terms_of(problem).by_sample
    assert_close(push_forward(problem, outputs, v), pushed, "by torch.func", size=problem.num_parameters)
    assert_close(pull_back(problem, u), pulled, "by torch.func", size=problem.num_parameters)
    assert_close(pull_back(problem, u[0]), pulled[0], "by torch.func, one", size=problem.num_parameters)


def test_a_parameter_that_acts_on_nothing_has_zeros() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spare, self.used = nn.Parameter(torch.ones(2)), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)  # type: ignore[no-any-return]

    problem = Problem(Spare().double(), nn.MSELoss(), [(torch.ones(3, 2).double(), torch.ones(3, 1).double())])
    linearization = Linearization(problem)
    assert linearization.pull(torch.ones(1, 3, 1).double())[0].tolist() == [0, 0, 3, 3, 3]
    assert linearization.push(torch.tensor([[5.0, 5.0, 1.0, 2.0, 3.0]]).double()).flatten().tolist() == [6, 6, 6]


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "attention", "batch-norm"])
def test_nothing_is_left_changed(name: str) -> None:
    problem = zoo_problem(name)
    before = state_of(problem)
    with torch.no_grad():
        matrix = ggn(problem)
        first, again = matrix @ _vectors(problem)[0], matrix @ _vectors(problem)[0]
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert_untouched(problem, before)


@pytest.mark.parametrize("multiplied_before", [False, True])
def test_a_matrix_keeps_the_parameters_with_which_it_was_made(multiplied_before: bool) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    problem = Problem(copy.deepcopy(problem.model), problem.loss, problem.batches)
    v = _vectors(problem)[0]
    wanted = ggn(problem) @ v
    matrix = ggn(problem)
    if multiplied_before:
        matrix @ v
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.mul_(1.5)
    assert torch.equal(matrix @ v, wanted)
    assert_apart(ggn(problem) @ v, wanted, "the matrix made anew")


def test_terms_without_a_linearisation_and_a_changed_model_are_refused() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    problem = Problem(copy.deepcopy(problem.model), problem.loss, problem.batches)
    terms = terms_of(problem)
    matrix = GaussNewton(problem, terms, problem.likelihood.hessian_root(terms.outputs, terms.labels))
    with torch.no_grad():
        next(problem.model.parameters()).add_(0.1)
    with pytest.raises(ProblemError, match="make the matrix anew"):
        matrix @ _vectors(problem)[0]


def test_products_are_differentiable_in_the_vector() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix, v = ggn(problem), _vectors(problem)[0]
    wanted = 2 * (matrix @ v)
    assert_close(grad(lambda x: x @ (matrix @ x))(v), wanted, "by torch.func.grad", size=len(v))
    leaf = v.clone().requires_grad_()
    (leaf @ (matrix @ leaf)).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert_close(leaf.grad, wanted, "by backward", size=len(v))
    assert_close(matrix @ v, wanted / 2, "the graph is still there", size=len(v))
    assert_close(grad(lambda x: x @ (ggn(problem) @ x))(v), wanted, "made inside a transform", size=len(v))
    assert_close(grad(lambda x: x @ (ggn(problem).dense() @ x))(v), wanted, "dense, inside a transform", size=len(v))


# --- what it costs ------------------------------------------------------------------------------------------------------------


def flops_of(call: Callable[[], object]) -> int:
    """The floating-point operations in matrix products."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def product_flops(widths: tuple[int, ...], samples: int) -> int:
    """Two products a layer for J v and two for J' u, less the one of each into the inputs of the model."""
    each = [2 * samples * before * after for before, after in pairwise(widths)]
    return 4 * sum(each) - 2 * each[0]


def forward_flops(widths: tuple[int, ...], samples: int) -> int:
    """One product a layer."""
    return sum(2 * samples * before * after for before, after in pairwise(widths))


def test_a_product_costs_four_matrix_products_a_layer_and_no_evaluation() -> None:
    problem = perceptron(WIDTHS, SAMPLES, "counted products")
    linearization = linearized_terms(problem).linearization
    assert linearization is not None
    v, u = _vectors(problem, 1), _cotangents(problem, 1)
    linearization.push(v)
    assert flops_of(lambda: (linearization.push(v), linearization.pull(u))) == product_flops(WIDTHS, SAMPLES)
    outputs = terms_of(problem).by_sample
    by_functions = flops_of(lambda: (push_forward(problem, outputs, v), pull_back(problem, u)))
    assert by_functions >= product_flops(WIDTHS, SAMPLES) + 2 * forward_flops(WIDTHS, SAMPLES)  # evaluates again: fails it


def test_products_with_the_ggn_cost_that_each_and_the_matrix_one_forward_pass() -> None:
    problem = perceptron(WIDTHS, SAMPLES, "counted products")
    v, outputs = _vectors(problem)[0], WIDTHS[-1]
    terms = terms_of(problem)
    root = flops_of(lambda: problem.likelihood.hessian_root(terms.outputs, terms.labels))
    weighing = 2 * (2 * SAMPLES * outputs**2)  # B z and B'(B z) for each sample
    made: list[GaussNewton] = []
    assert flops_of(lambda: made.append(ggn(problem))) == forward_flops(WIDTHS, SAMPLES) + root
    for _ in range(2):  # the first one makes the graph of the transpose, at zero, without products
        assert flops_of(lambda: made[0] @ v) == product_flops(WIDTHS, SAMPLES) + weighing


def test_only_products_with_a_zero_matrix_are_left_out() -> None:
    full, zero = torch.ones(2, 2), torch.zeros(2, 2)
    with _WithoutZeroProducts():  # type: ignore[no-untyped-call]
        assert torch.equal(full @ full, 2 * full)
        assert torch.equal(full @ zero, zero)
        assert torch.equal(zero @ full, zero)


def test_the_graph_of_the_transpose_is_made_once() -> None:
    linearization = Linearization(perceptron(WIDTHS, SAMPLES, "counted products"))
    assert linearization._transpose is linearization._transpose


def test_the_model_is_evaluated_once_for_a_matrix_and_all_its_products() -> None:
    calls: list[int] = []
    problem = perceptron(WIDTHS, SAMPLES, "counted products")
    handle = problem.model.register_forward_hook(lambda *_: calls.append(1))
    matrix = ggn(problem)
    for v in _vectors(problem):
        matrix @ v
    handle.remove()
    assert len(calls) == 1
