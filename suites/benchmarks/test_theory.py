"""Closed forms of necessary work agree with counts of computations that do no more, and no implementation is below them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.suites.benchmarks import theory_of_layers as layered
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.layer_sizes import LayerSize, LayerSizes, layer_sizes
from fishergauge.suites.benchmarks.problems import BENCHES, convolutional, perceptron
from fishergauge.suites.benchmarks.registry import implementations
from fishergauge.suites.benchmarks.task import Task
from fishergauge.suites.benchmarks.theory import necessary_work, work_of
from fishergauge.suites.factorisation_counts import FACTORISATIONS

WIDTHS, N = (5, 7, 4, 3), 11


def sizes(widths: tuple[int, ...] = WIDTHS, samples: int = N, softmax: bool = True) -> LayerSizes:
    found = layer_sizes(perceptron(widths, samples, "theory"))
    assert found is not None
    return replace(found, softmax=softmax)


def counted(call: Callable[[], object]) -> int:
    with FlopCounterMode(display=False, custom_mapping=FACTORISATIONS) as counter:
        call()
    return int(counter.get_total_flops())


def made(*shape: int) -> Tensor:
    return torch.ones(*shape)


def weights() -> list[Tensor]:
    return [made(m, n) for n, m in pairwise(WIDTHS)]


def forward(vectors: Tensor) -> None:
    for weight in weights():
        vectors = vectors @ weight.T


def back(vectors: Tensor) -> list[Tensor]:
    """Vectors at the outputs of every layer, from the last to the first."""
    found = [vectors]
    for weight in reversed(weights()[1:]):
        found.append(found[-1] @ weight)
    return found


def outer_products(at_outputs: list[Tensor]) -> None:
    for gradients, width in zip(at_outputs, reversed(WIDTHS[:-1]), strict=True):
        gradients.T @ made(N, width)


def test_an_evaluation_and_the_pull_backs_cost_what_matrix_products_written_out_cost() -> None:
    def work() -> None:
        forward(made(N, 5))
        back(made(3 * N, 3))

    assert layered.passes(sizes(), 3) == counted(work)


def test_a_product_with_the_ggn_costs_what_its_four_products_a_layer_cost() -> None:
    def work() -> None:
        for place, weight in enumerate(weights()):
            made(N, weight.shape[1]) @ weight.T  # by the direction
            if place > 0:
                made(N, weight.shape[1]) @ weight.T  # by the weight
        outer_products(back(made(N, 3)))

    assert layered.product(sizes()) == counted(work)


def test_a_product_with_the_hessian_costs_what_its_six_products_a_layer_cost() -> None:
    def work() -> None:
        for place, weight in enumerate(weights()):
            m, n = weight.shape
            made(N, n) @ weight.T
            made(m, N) @ made(N, n)
            if place > 0:
                made(N, n) @ weight.T
                made(N, m) @ weight
                made(N, m) @ weight
                made(m, N) @ made(N, n)

    assert layered.hessian_product(sizes()) == counted(work)


def test_a_gradient_costs_a_backward_pass() -> None:
    assert layered.gradient(sizes()) == counted(lambda: outer_products(back(made(N, 3))))


def test_the_pairs_of_layers_cost_n_p_squared() -> None:
    counts = []
    for i, (n, m) in enumerate(pairwise(WIDTHS)):
        for k, (a, b) in list(enumerate(pairwise(WIDTHS)))[i:]:
            pair = counted(partial(torch.mm, made(m * b, N), made(N, (n + 1) * (a + 1))))
            counts.append(pair if k > i else pair // 2)
    assert layered.dense(sizes(), 3) == sum(counts) == N * sizes().parameters ** 2


def test_packed_diagonal_blocks_leave_what_the_docstring_says() -> None:
    s = sizes(softmax=False)
    packed = N * sum(layered.block(s, layer, 3) for layer in s.layers)
    squares = sum(layer.parameters**2 for layer in s.layers)
    more = N * sum(layer.parameters * (layer.outputs + layer.columns + 1) for layer in s.layers) / 2
    assert packed == N * squares / 2 + more
    assert layered.blocks(s, 3) == layered.passes(s, 3) + packed


def test_convolutions_take_rows_or_pairs_of_positions_whichever_are_fewer() -> None:
    few, many = LayerSize(2, 3, False, positions=2), LayerSize(2, 3, False, positions=50)
    assert layered.dense(LayerSizes(10, 7, (few, few), 0, 8), 7) == 10 * 4 * 4 * 36
    assert layered.dense(LayerSizes(10, 7, (many, many), 0, 8), 7) == 10 * 4 * 7 * 36


def test_factors_use_symmetry_and_the_output_hessian_at_the_last_layer() -> None:
    s = sizes(softmax=False)
    expected = sum(n * (n + 1) for n in (6, 8, 5)) + 3 * 7 * 8 + 3 * 4 * 5 + 3 * 4
    assert layered.factors(s, 3) - layered.passes(s, 3) == N * expected
    assert layered.factors(replace(s, softmax=True), 3) == layered.factors(s, 3) - N * 2 * 3
    separate = sum(n * (n + 1) for n in (5, 7, 4)) + 3 * 7 * 8 + 3 * 4 * 5 + 3 * 4
    assert layered.factors(s, 3, joint=False) - layered.passes(s, 3) == N * separate


@pytest.mark.parametrize("quantity", ["fisher", "ggn", "hessian"])
def test_the_closed_form_of_softmax_regression_does_no_more_than_necessary(quantity: str) -> None:
    problem = perceptron((6, 4), 9, "theory softmax")
    work = necessary_work(Task(quantity, "dense"), problem)
    assert work is not None
    assert work.flops == 9 * (4 * 3 * 6 * 7 // 2 + 2 * 6 * 4)


def test_the_empirical_fisher_has_no_zero_row_sums_to_use() -> None:
    single, deep = perceptron((6, 4), 9, "theory softmax"), perceptron(WIDTHS, N, "theory")
    work = necessary_work(Task("empirical-fisher", "dense"), single)
    assert work is not None
    assert work.flops == 9 * (4 * 5 * 6 * 7 // 2 + 2 * 6 * 4)
    P = deep.num_parameters
    work = necessary_work(Task("empirical-fisher", "dense"), deep)
    assert work is not None
    assert work.flops == N * P * (P + 1)


def test_bytes_are_those_of_inputs_parameters_vectors_and_results() -> None:
    s = sizes()
    P, read = s.parameters, N * 5 + s.parameters
    expected = {
        ("ggn", "dense"): 8 * (read + P**2),
        ("empirical-fisher", "dense"): 8 * (read + P**2) + 8 * N,
        ("ggn", "blocks"): 8 * (read + 42**2 + 32**2 + 15**2),
        ("ggn", "diagonal"): 8 * (read + P),
        ("gradient", "rows"): 8 * (read + N * P) + 8 * N,
        ("ggn", "product"): 8 * (read + 2 * P),
        ("kfac", "product"): 8 * (2 * P + 36 + 49 + 64 + 16 + 25 + 9),
        ("ggn", "solve"): 8 * (P**2 + 2 * P),
        ("kfac", "factors"): 8 * (read + 36 + 49 + 64 + 16 + 25 + 9),
    }
    for (quantity, operation), number in expected.items():
        work = work_of(Task(quantity, operation), s)  # type: ignore[arg-type]
        assert work is not None
        assert work.bytes == number, (quantity, operation)


def test_bytes_are_half_in_half_the_precision() -> None:
    task = Task("ggn", "dense")
    whole, half = (necessary_work(task, BENCHES["mlp-small"].problem(dtype)) for dtype in (torch.float64, torch.float32))
    assert whole is not None
    assert half is not None
    assert whole.bytes == 2 * half.bytes
    assert whole.flops == half.flops


def test_a_solution_counts_its_factorisation_and_two_triangular_systems() -> None:
    matrix, vector = torch.eye(30), made(30, 1)
    count = counted(lambda: torch.cholesky_solve(vector, torch.linalg.cholesky(matrix)))
    assert layered.cholesky_solve(30) == count == 9000 + 1800


def test_a_step_goes_by_the_samples_where_they_are_few() -> None:
    wide, narrow = sizes((40, 50, 3), 4), sizes((4, 3), 400)
    by_gram = layered.gram_step(wide, 3)
    assert by_gram is not None
    for s, flops in ((wide, by_gram), (narrow, layered.dense(narrow, 3) + layered.cholesky_solve(12))):
        work = work_of(Task("ggn", "step"), s)
        assert work is not None
        assert work.flops == flops + layered.gradient(s)


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2))
    model[0].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    "model",
    [
        frozen(),
        nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)),
        nn.Sequential(shared := nn.Linear(3, 3), nn.Tanh(), shared),
    ],
    ids=["frozen", "normalised", "shared"],
)
def test_nothing_is_said_of_models_that_are_not_layers_used_once(model: nn.Module) -> None:
    problem = Problem(model, nn.MSELoss(), [(made(5, 3), made(5, model(made(5, 3)).shape[1]))])
    assert necessary_work(Task("ggn", "dense"), problem) is None


@pytest.mark.parametrize("task", [Task("hessian", "dense"), Task("eigen-kfac", "factors"), Task("shampoo", "product")], ids=str)
def test_nothing_is_said_where_nothing_is_known(task: Task) -> None:
    assert necessary_work(task, perceptron(WIDTHS, N, "theory")) is None


def below(found: list[Implementation], problem: Problem) -> list[str]:
    """The implementations that count fewer operations than necessary."""
    low = []
    for one in found:
        work = None if one.refuses(problem) else necessary_work(one.task, problem)
        if work is not None and counted(one.prepare(problem)) < ALLOWED.get(one.task.operation, 1.0) * work.flops:
            low.append(f"{one.name} {one.task}")
    return low


# dense and blocks: the limit is that of the pairs of layers, and packed diagonal blocks are below it by up to a half; diagonals
# and rows: entrywise products in place of matrix products; solutions: 1/3 n^3 is rounded
ALLOWED = {"dense": 0.5, "blocks": 0.5, "solve": 0.999}


@pytest.mark.parametrize(
    "problem",
    [perceptron((6, 4), 30, "below softmax"), perceptron(WIDTHS, 30, "below"), convolutional((2, 2), 3, "below cnn")],
    ids=["softmax", "mlp", "cnn"],
)
def test_no_implementation_is_below_the_limit(problem: Problem) -> None:
    globs = ["ggn/*", "empirical-fisher/*", "kfac/*", "hessian/*product", "gradient/rows", "fisher/dense"]
    found = [one for one in implementations(["reference", "backpack"], globs=globs) if not one.name.endswith("cg")]
    assert len(found) > 30
    assert below(found, problem) == []


def test_an_implementation_that_leaves_work_out_is_seen_below_the_limit() -> None:
    def prepare(problem: Problem) -> Callable[[], Tensor]:
        first = Problem(problem.model, problem.loss, [(problem.inputs[:5], problem.targets[:5])])
        return lambda: reference.ggn(first).dense()

    planted = Implementation("planted", "subject", Task("ggn", "dense"), prepare)
    assert below([planted], perceptron(WIDTHS, 200, "planted")) == ["planted ggn/dense"]
