"""Solvers: pseudo-inverse, damping, conjugate gradients and low rank agree, and refuse what they cannot do."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge.reference import ConvergenceError, ProblemError
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def _singular(rank: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A matrix of that rank with eigenvalues from 1 to 10, and its rows."""
    draws = generator("singular", rank, size)
    basis = torch.linalg.qr(torch.randn(size, rank, generator=draws, dtype=torch.float64))[0]
    rows = (basis * torch.linspace(1, 10, rank, dtype=torch.float64).sqrt()).T.to(dtype)
    return rows.T @ rows, rows


@both_dtypes
@pytest.mark.parametrize("rank", [1, 4, 6])
def test_pseudo_inverse_satisfies_the_four_conditions_of_penrose(rank: int, dtype: torch.dtype, quantities: Quantities) -> None:
    matrix, _ = _singular(rank, 6, dtype)
    inverse = quantities.pseudo_inverse(matrix)
    assert_close(matrix @ inverse @ matrix, matrix, "A X A = A", condition=10)
    assert_close(inverse @ matrix @ inverse, inverse, "X A X = X", condition=10)
    assert_close((matrix @ inverse).T, matrix @ inverse, "A X symmetric", condition=10)
    assert_close((inverse @ matrix).T, inverse @ matrix, "X A symmetric", condition=10)


@both_dtypes
def test_solution_off_the_range_is_that_of_the_pseudo_inverse(dtype: torch.dtype, quantities: Quantities) -> None:
    matrix, _ = _singular(3, 6, dtype)
    right = torch.randn(6, 2, generator=generator("right"), dtype=torch.float64).to(dtype)
    inverse = quantities.pseudo_inverse(matrix)
    assert_close(quantities.solve_psd(matrix, right), inverse @ right, "A+ B", condition=10)
    assert_close(quantities.solve_psd(matrix, right[:, 0]), inverse @ right[:, 0], "A+ b", condition=10)
    assert_close(quantities.solve_damped(matrix, right), inverse @ right, "no damping", condition=10)


def test_the_cutoff_decides_what_counts_as_zero(quantities: Quantities) -> None:
    matrix = torch.diag(torch.tensor([1.0, 1e-6], dtype=torch.float64))
    assert_close(quantities.pseudo_inverse(matrix).diagonal(), torch.tensor([1.0, 1e6], dtype=torch.float64), "kept")
    kept = quantities.pseudo_inverse(matrix, cutoff=1e-5).diagonal()
    assert_close(kept, torch.tensor([1.0, 0.0], dtype=torch.float64), "cut")


def test_the_zero_matrix_has_the_zero_inverse(quantities: Quantities) -> None:
    assert torch.equal(quantities.pseudo_inverse(torch.zeros(3, 3)), torch.zeros(3, 3))


@both_dtypes
@pytest.mark.parametrize("damping", [1e-2, 1.0])
def test_damped_solutions_agree_by_three_ways(damping: float, dtype: torch.dtype, quantities: Quantities) -> None:
    matrix, rows = _singular(3, 6, dtype)
    right = torch.randn(6, generator=generator("damped"), dtype=torch.float64).to(dtype)
    double, wide = matrix.double(), right.double()
    expected = torch.linalg.solve(double + damping * torch.eye(6, dtype=torch.float64), wide)
    condition = 10 / damping
    assert_close(quantities.solve_damped(matrix, right, damping), expected, "Cholesky", condition=condition)
    assert_close(quantities.woodbury_solve(rows, right, damping), expected, "Woodbury", condition=condition)
    several = quantities.woodbury_solve(rows, torch.stack([right, 2 * right], 1), damping)
    assert_close(several[:, 1], 2 * expected, "Woodbury, several", condition=condition)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    found = quantities.conjugate_gradients(matrix, right, damping, tolerance)
    condition = max(condition, condition * tolerance / torch.finfo(dtype).eps)
    assert_close(found, expected, "conjugate gradients", condition=condition)


def test_conjugate_gradients_work_with_products_alone(quantities: Quantities) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    operator, slope = quantities.ggn(problem), quantities.gradient(problem)
    expected = quantities.solve_damped(operator.dense(), slope, 1e-3)
    condition = float(operator.trace()) / 1e-3
    found = quantities.conjugate_gradients(operator, slope, 1e-3, 1e-13)
    assert_close(found, expected, "matrix-free solution", condition=condition)


def test_conjugate_gradients_give_the_least_norm_solution_on_the_range(quantities: Quantities) -> None:
    matrix, _ = _singular(3, 6, torch.float64)
    right = matrix @ torch.arange(6, dtype=torch.float64)
    found = quantities.conjugate_gradients(matrix, right, tolerance=1e-13)
    assert_close(found, quantities.pseudo_inverse(matrix) @ right, "least norm", condition=100)
    assert torch.equal(quantities.conjugate_gradients(matrix, torch.zeros(6).double()), torch.zeros(6).double())


def test_what_cannot_be_solved_is_refused_by_name(quantities: Quantities) -> None:
    indefinite = torch.diag(torch.tensor([1.0, -1.0]))
    right = torch.ones(2)
    with pytest.raises(ProblemError, match="not positive definite"):
        quantities.solve_damped(indefinite, right, 0.5)
    with pytest.raises(ProblemError, match="must not be negative"):
        quantities.solve_damped(torch.eye(2), right, -1.0)
    with pytest.raises(ProblemError, match="must not be negative"):
        quantities.conjugate_gradients(torch.eye(2), right, -1.0)
    with pytest.raises(ProblemError, match="do not fit"):
        quantities.conjugate_gradients(torch.eye(3), right)
    with pytest.raises(ConvergenceError, match="relative residual"):
        quantities.conjugate_gradients(torch.diag(torch.logspace(0, 9, 20).double()), torch.ones(20).double(), iterations=2)
    with pytest.raises(ProblemError, match="positive damping"):
        quantities.woodbury_solve(torch.eye(2), right, 0.0)
    with pytest.raises(ProblemError, match="do not fit"):
        quantities.woodbury_solve(torch.eye(3), right, 1.0)


@pytest.mark.parametrize(
    ("matrix", "cutoff", "message"),
    [
        (torch.zeros(2, 3), None, "square"),
        (torch.full((2, 2), math.nan), None, "NaN"),
        (torch.eye(2), 1.5, "cut-off"),
        (torch.eye(2), -0.1, "cut-off"),
    ],
    ids=["not-square", "nan", "large-cutoff", "negative-cutoff"],
)
def test_a_bad_matrix_or_cutoff_is_refused(matrix: Tensor, cutoff: float | None, message: str, quantities: Quantities) -> None:
    with pytest.raises(ProblemError, match=message):
        quantities.pseudo_inverse(matrix, cutoff)
