"""Low rank: the best approximation, its error to the last digit, and the damped step that it gives."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, gradient, solve_damped
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.low_rank import LowRank, low_rank
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def start_of(problem: Problem) -> Tensor:
    """A random vector to start from."""
    draws = torch.randn(problem.num_parameters, generator=generator("low rank"), dtype=torch.float64)
    return draws.to(problem.dtype)


def truncation(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best approximation of that rank, and all eigenvalues, descending, by a dense decomposition."""
    values, vectors = torch.linalg.eigh(matrix.double())
    best = (vectors[:, -rank:] * values[-rank:]) @ vectors[:, -rank:].T
    return best, values.flip(0)


@both_dtypes
@pytest.mark.parametrize("rank", [1, 3, 6])
def test_it_is_the_truncated_eigendecomposition(rank: int, dtype: torch.dtype) -> None:
    problem = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    matrix = fisher(problem)
    found = low_rank(matrix, rank, start_of(problem))
    best, values = truncation(matrix.dense(), rank)
    gap = float(values[0] / (values[rank - 1] - values[rank]))  # rounding turns eigenvectors by u / gap
    assert_close(found.dense(), best, "U U'", condition=gap)
    assert_close(found.values, values[:rank], "eigenvalues")
    assert_close(found.vectors.T @ found.vectors, torch.eye(rank, dtype=torch.float64), "orthonormal")
    with pytest.raises(ClaimViolated):
        assert_close(found.dense(), truncation(matrix.dense(), rank + 1)[0], "another rank", condition=gap)


def test_the_error_is_what_eckart_and_young_say() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix = fisher(problem).dense()
    start = start_of(problem)
    for rank in (1, 4, 8):
        found = low_rank(fisher(problem), rank, start)
        _, values = truncation(matrix, rank)
        error, rest = matrix - found.dense(), values[rank:]
        scale, size = float(values.sum()), len(matrix)
        spectral, nuclear = torch.linalg.matrix_norm(error, 2), torch.linalg.matrix_norm(error, "nuc")
        assert_close(spectral, rest[0], "spectral norm", scale=scale, size=size)
        assert_close(nuclear, rest.sum(), "nuclear norm", scale=scale, size=size)
        assert_close(error.norm(), rest.norm(), "Frobenius norm", scale=scale, size=size)
        assert_close(found.discarded(fisher(problem).trace()), rest.sum(), "from the trace", scale=scale, size=size)
        # the control: other columns of the same number do worse
        smallest = LowRank(values[1 : rank + 1], torch.linalg.eigh(matrix).eigenvectors.flip(1)[:, 1 : rank + 1])
        assert float(torch.linalg.matrix_norm(matrix - smallest.dense(), "nuc")) > 1.01 * float(nuclear)


def step_error(problem: Problem, rank: int, damping: float) -> tuple[float, float]:
    """Distance of the damped step from the full one, and the bound on it."""
    matrix, slope = fisher(problem), gradient(problem)
    found = low_rank(matrix, rank, start_of(problem))
    values = truncation(matrix.dense(), rank)[1].clamp(min=0)
    following = float(values[rank]) if rank < len(values) else 0.0
    distance = float((found.solve(slope, damping) - solve_damped(matrix.dense(), slope, damping)).norm())
    return distance, float(slope.norm()) * following / (damping * (damping + following))


@pytest.mark.parametrize("damping", [1e-1, 1e-3])
def test_the_damped_step_tends_to_the_full_one_and_keeps_to_its_bound(damping: float) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    size = problem.num_parameters
    rounding = 1e-10 / damping  # u |F| / damping^2 times the gradient stays below it
    errors = [step_error(problem, rank, damping) for rank in (1, 2, 4, 8, size)]
    assert all(error <= bound + rounding for error, bound in errors)
    assert errors[0][0] > 1e-3  # the control: rank one is not enough
    assert errors[-1][0] <= rounding


@both_dtypes
def test_solving_by_woodbury_is_solving_with_the_dense_matrix(dtype: torch.dtype) -> None:
    problem = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    found = low_rank(fisher(problem), 3, start_of(problem))
    right = start_of(problem)
    dense = found.dense().double() + 0.1 * torch.eye(len(right), dtype=torch.float64)
    condition = float(found.values[0]) / 0.1 + 1
    assert_close(found.solve(right, 0.1), torch.linalg.solve(dense, right.double()), "Woodbury", condition=condition)
    assert_close(found @ right, found.dense() @ right, "product", scale=float(found.values[0] * right.norm()))
    assert_apart(found.solve(right, 0.2), torch.linalg.solve(dense, right.double()), "another damping")


def test_a_matrix_of_low_rank_is_found_whole_and_no_more() -> None:
    rows = torch.randn(3, 12, generator=generator("three rows"), dtype=torch.float64)
    matrix = rows.T @ rows
    start = torch.randn(12, generator=generator("start"), dtype=torch.float64)
    found = low_rank(matrix, 6, start)
    assert len(found.values) == 3
    assert_close(found.dense(), matrix, "all of it", condition=10)
    assert len(low_rank(matrix, 2, start).values) == 2
    assert float((low_rank(matrix, 2, start).dense() - matrix).norm()) > 0.1 * float(matrix.norm())  # the control


@pytest.mark.parametrize("rank", [1, 4, 5, 6])
def test_the_largest_eigenvalues_are_kept_up_to_the_full_rank(rank: int) -> None:
    draws = generator("full rank")
    basis = torch.linalg.qr(torch.randn(6, 6, generator=draws, dtype=torch.float64))[0]
    values = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    start = torch.randn(6, generator=draws, dtype=torch.float64)
    found = low_rank((basis * values) @ basis.T, rank, start)
    assert_close(found.values, values[:rank], "the largest", condition=10)
    assert_close(found.dense(), (basis[:, :rank] * values[:rank]) @ basis[:, :rank].T, "U U'", condition=10)
    if rank < 6:
        assert_apart(found.values, values[-rank:], "the smallest")


def test_the_same_start_gives_the_same_answer_and_no_global_generator_moves() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    state = torch.random.get_rng_state()
    first, second = (low_rank(fisher(problem), 3, start_of(problem)) for _ in range(2))
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(torch.random.get_rng_state(), state)
    other = low_rank(fisher(problem), 3, 2 + start_of(problem))
    assert not torch.equal(first.vectors, other.vectors)  # the control: the start is used


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ProblemError, match="do not fit"):
        low_rank(torch.eye(3), 1, torch.ones(2))
    for rank in (0, 4):
        with pytest.raises(ProblemError, match="between 1 and 3"):
            low_rank(torch.eye(3), rank, torch.ones(3))
    with pytest.raises(ProblemError, match="not zero"):
        low_rank(torch.eye(3), 1, torch.zeros(3))


def test_the_leading_eigenvalues_are_the_largest_and_not_those_of_largest_modulus() -> None:
    matrix = torch.diag(torch.tensor([3.0, 1.0, -5.0, -1.0, 0.5, 0.2], dtype=torch.float64))
    found = low_rank(matrix, 2, torch.ones(6, dtype=torch.float64))
    assert_close(found.values, torch.tensor([3.0, 1.0], dtype=torch.float64), "leading eigenvalues", condition=10)


def test_the_same_start_gives_the_same_pairs_also_within_an_invariant_subspace() -> None:
    identity, start = torch.eye(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)  # F start = start: no space grows
    first, again = low_rank(identity, 3, start), low_rank(identity, 3, start)
    assert torch.equal(first.vectors, again.vectors)
    assert first.vectors.shape == (6, 3)
