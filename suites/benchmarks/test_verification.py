"""What judges the implementations is right itself, and notices the usual mistakes in every operation."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, fisher, monte_carlo_fisher, quasi_diagonal
from fishergauge.reference.oracle import oracle_empirical_fisher, oracle_fisher, oracle_ggn, oracle_gradient, oracle_hessian
from fishergauge.suites.benchmarks import plain_curvature
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.of_reference import implementations
from fishergauge.suites.benchmarks.small_benches import SMALL
from fishergauge.suites.benchmarks.task import DAMPING, Task, vector_of
from fishergauge.suites.benchmarks.verification import Expected, Verified, deviation_of, expected, forget, judged, verify
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.seeding import generator

REFERENCE = {(each.name, str(each.task)): each for each in implementations()}
PLAIN = {(name, task): each for (name, task), each in REFERENCE.items() if name == "fishergauge"}
FACTOR_TWO = [key for key in PLAIN if "monte-carlo" not in key[1]]


@pytest.fixture(scope="module")
def mlp() -> Problem:
    return SMALL["tiny-mlp"].problem()


def result(implementation: Implementation, problem: Problem) -> Tensor:
    return implementation.canonical(problem, implementation.prepare(problem)())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("quantity", "oracle"),
    [
        ("fisher", oracle_fisher),
        ("ggn", oracle_ggn),
        ("hessian", oracle_hessian),
        ("empirical-fisher", oracle_empirical_fisher),
    ],
)
def test_expected_matrices_agree_with_the_oracle(name: str, quantity: str, oracle: Callable[[Problem], Tensor]) -> None:
    problem = SMALL[name].problem()
    matrix = oracle(problem)
    vector = vector_of(problem)
    assert_close(expected(Task(quantity, "product"), problem).value, matrix @ vector, "product")  # before the matrix is there
    assert_close(expected(Task(quantity, "diagonal"), problem).value, matrix.diagonal(), "diagonal")
    assert_close(expected(Task(quantity, "dense"), problem).value.view_as(matrix), matrix, "dense")
    assert_close(plain_curvature.plain_gradient(problem), oracle_gradient(problem), "gradient")


@pytest.mark.parametrize("key", PLAIN, ids=" ".join)
def test_the_reference_is_right_and_twice_of_it_is_not(key: tuple[str, str], mlp: Problem) -> None:
    implementation = PLAIN[key]
    if implementation.refuses(mlp):
        pytest.skip("a closed form")
    found = verify(implementation, mlp, implementation.prepare(mlp)())
    drawn_solution = "monte-carlo" in key[1] and implementation.task.operation in ("solve", "step", "blocks")
    assert found.verified is (None if drawn_solution else True), found
    if key in FACTOR_TWO:
        actual = result(implementation, mlp)
        assert judged(implementation.task, mlp, 2 * actual).verified is False
        assert judged(implementation.task, mlp, actual * mlp.num_samples).verified is False
        assert judged(implementation.task, mlp, -actual).verified is False


def test_a_transposed_kronecker_product_is_wrong(mlp: Problem) -> None:
    vector, pieces = vector_of(mlp), {}
    blocks = PLAIN["fishergauge", "kfac/factors"].prepare(mlp)()
    matrix = torch.block_diag(*(torch.kron(b.input_factor, b.output_factor) for b in blocks.values()))  # type: ignore[no-untyped-call]
    pieces["dense"], pieces["product"], pieces["diagonal"] = matrix.reshape(-1), matrix @ vector, matrix.diagonal()
    pieces["solve"] = torch.linalg.solve(matrix + DAMPING * torch.eye(len(matrix)), vector)
    for operation, wrong in pieces.items():
        assert judged(Task("kfac", operation), mlp, wrong).verified is False, operation  # type: ignore[arg-type]


def test_factors_are_compared_whatever_their_scale_and_not_in_the_other_order(mlp: Problem) -> None:
    blocks = PLAIN["fishergauge", "kfac/factors"].prepare(mlp)()
    pairs = [(b.output_factor, b.input_factor[:-1, :-1]) for b in blocks.values()]
    task = Task("kfac", "factors")
    assert judged(task, mlp, factor_pairs((3 * g, a / 3) for g, a in pairs)).verified is True
    assert judged(task, mlp, factor_pairs((g / mlp.num_samples, a) for g, a in pairs)).verified is False
    assert judged(task, mlp, factor_pairs((a, g) for g, a in pairs)).verified is False
    assert judged(task, mlp, factor_pairs((g.mT, a) for g, a in pairs[::-1])).verified is False


def test_one_wrong_block_among_large_ones_is_seen(mlp: Problem) -> None:
    task = Task("fisher", "blocks")
    blocks = list(fisher(mlp).blocks().values())
    right = torch.cat([1e12 * blocks[0].reshape(-1), blocks[1].reshape(-1)])
    assert judged(task, mlp, torch.cat([block.reshape(-1) for block in blocks])).verified is True
    assert judged(task, mlp, right).verified is False
    slightly = torch.cat([blocks[0].reshape(-1), blocks[1].reshape(-1) * (1 + 1e-9)])
    assert judged(task, mlp, slightly).verified is False


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "too short": lambda x: x[:-1],
    "another dtype": lambda x: x.float(),
    "not finite": lambda x: x * math.nan,
    "zero": torch.zeros_like,
}


def test_each_part_is_compared_by_its_own_size() -> None:
    value = torch.tensor([1e9, 1e9, 1.0, 1.0], dtype=torch.float64)
    wrong = torch.tensor([1e9, 1e9, 2.0, 2.0], dtype=torch.float64)
    assert deviation_of(wrong, Expected(value, "", (2, 2))) == pytest.approx(1)
    assert deviation_of(wrong, Expected(value, "")) < 1e-8


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["dense", "diagonal", "product", "solve", "step"])
def test_a_result_of_the_wrong_shape_dtype_or_kind_is_wrong_and_raises_nothing(
    operation: str, fault: str, mlp: Problem
) -> None:
    implementation = PLAIN["fishergauge", f"ggn/{operation}"]
    assert judged(implementation.task, mlp, FAULTS[fault](result(implementation, mlp))).verified is False


def test_what_is_no_tensor_is_wrong(mlp: Problem) -> None:
    found = verify(PLAIN["fishergauge", "ggn/dense"], mlp, {"matrix": object()})
    assert found.verified is False
    assert "TypeError" in found.against


def test_float32_is_judged_by_float64_at_the_same_numbers() -> None:
    problem = SMALL["tiny-mlp"].problem(torch.float32)
    implementation = PLAIN["fishergauge", "ggn/dense"]
    assert expected(implementation.task, problem).value.dtype == torch.float64
    found = verify(implementation, problem, implementation.prepare(problem)())
    assert found.verified is True
    assert 0 < (found.deviation or 0) < 1e-5
    assert judged(implementation.task, problem, 1.001 * result(implementation, problem)).verified is False


def test_a_quasi_diagonal_matrix_may_have_zeros_or_its_completion(mlp: Problem) -> None:
    task = Task("quasi-diagonal", "dense")
    completed = quasi_diagonal(mlp).dense()
    sparse = completed.clone()
    for unit in range(4):
        own = slice(3 * unit, 3 * unit + 3)
        sparse[own, own] = sparse[own, own].diagonal().diag()
    for unit in range(3):
        own = slice(16 + 4 * unit, 16 + 4 * unit + 4)
        sparse[own, own] = sparse[own, own].diagonal().diag()
    assert judged(task, mlp, completed.reshape(-1)).verified is True
    assert judged(task, mlp, sparse.reshape(-1)).verified is True
    assert judged(task, mlp, (completed + sparse).reshape(-1) / 2).verified is False


def test_damping_in_the_factors_is_accepted_where_it_is_the_subjects_own(mlp: Problem) -> None:
    from fishergauge.reference import kfac

    for balanced in (True, False):
        solution = kfac(mlp).solve(vector_of(mlp), DAMPING, pi=balanced)
        assert judged(Task("kfac", "solve"), mlp, solution, own_damping=True).verified is True
        assert judged(Task("kfac", "solve"), mlp, solution).verified is False
        assert judged(Task("kfac", "solve"), mlp, 2 * solution, own_damping=True).verified is False


def test_the_eigenbasis_widens_the_bound_of_ekfac_alone(mlp: Problem) -> None:
    mine = judged(Task("eigen-kfac", "dense"), mlp, eigen_kfac(mlp).dense().reshape(-1))
    other = judged(Task("fisher", "dense"), mlp, fisher(mlp).dense().reshape(-1))
    assert mine.verified
    assert other.verified
    assert mine.bound is not None
    assert other.bound is not None
    assert other.bound < mine.bound < 1e-6


@pytest.mark.parametrize("samples", [1, 8])
def test_a_monte_carlo_estimate_is_judged_by_its_range(samples: int) -> None:
    from fishergauge.suites.benchmarks.problems import perceptron

    problem = perceptron((3, 4, 3), 400, "many samples")
    drawn = monte_carlo_fisher(problem, samples, generator("verification", samples)).dense()
    for operation, right in (("dense", drawn), ("product", drawn @ vector_of(problem)), ("diagonal", drawn.diagonal())):
        task = Task("monte-carlo-fisher", operation)  # type: ignore[arg-type]
        assert judged(task, problem, right.reshape(-1)).verified is True, operation
        assert judged(task, problem, 2 * right.reshape(-1)).verified is False, operation
        assert judged(task, problem, right.reshape(-1) / 400).verified is False, operation
    assert judged(Task("monte-carlo-fisher", "solve"), problem, drawn[0]).verified is None


def test_a_quantity_that_is_not_known_is_not_compared(mlp: Problem) -> None:
    found = judged(Task("fisher-low-rank", "dense"), mlp, fisher(mlp).dense().reshape(-1))
    assert found == Verified(None, None, None, "not compared: what fisher-low-rank is meant to be is not known here")


def test_what_is_known_of_a_problem_can_be_forgotten(mlp: Problem) -> None:
    task = Task("ggn", "diagonal")
    first = expected(task, mlp)
    assert expected(task, mlp) is first
    forget(mlp)
    assert expected(task, mlp) is not first
