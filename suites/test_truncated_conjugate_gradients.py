"""Conjugate gradients that stop early: what they reach, how many products they take, and why they stop."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.truncated_conjugate_gradients import Truncated, _stalled, truncated_conjugate_gradients
from fishergauge.suites.closeness import ClaimViolated, assert_close, unit_roundoff
from fishergauge.suites.seeding import generator

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


@dataclass
class Counted:
    """A matrix that counts its products."""

    dense: Tensor
    count: int = field(default=0)

    @property
    def shape(self) -> torch.Size:
        return self.dense.shape

    def __matmul__(self, vector: Tensor) -> Tensor:
        self.count += 1
        return self.dense @ vector


def spectral(values: list[float], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A matrix with those eigenvalues in random directions, and a right-hand side."""
    draws = generator("truncated", len(values))
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=draws, dtype=torch.float64))[0]
    right = torch.randn(len(values), generator=draws, dtype=torch.float64)
    return ((basis * torch.tensor(values, dtype=torch.float64)) @ basis.T).to(dtype), right.to(dtype)


def monotone(model: tuple[float, ...]) -> bool:
    """Whether the quadratic falls at each step."""
    return all(after < before for before, after in pairwise(model))


@both_dtypes
@pytest.mark.parametrize("distinct", [1, 2, 3, 5])
def test_as_many_steps_as_distinct_eigenvalues_suffice_and_fewer_do_not(distinct: int, dtype: torch.dtype) -> None:
    values = [1.0 + (i % distinct) for i in range(12)]
    matrix, right = spectral(values, dtype)
    condition = float(distinct)
    exact = torch.linalg.solve(matrix.double(), right.double())
    found = truncated_conjugate_gradients(matrix, right, tolerance=0.0, iterations=distinct)
    assert_close(found.solution, exact, "k distinct eigenvalues, k steps", condition=condition**2)
    early = truncated_conjugate_gradients(matrix, right, tolerance=0.0, iterations=distinct - 1)
    with pytest.raises(ClaimViolated):
        assert_close(early.solution, exact, "k distinct eigenvalues, k - 1 steps", condition=condition**2)


def test_the_solution_is_exact_after_p_steps() -> None:
    matrix, right = spectral([1.0, 1.5, 2.2, 3.1, 4.0, 5.5])
    found = truncated_conjugate_gradients(matrix, right, damping=0.5, tolerance=0.0, iterations=6)
    exact = torch.linalg.solve(matrix + 0.5 * torch.eye(6, dtype=torch.float64), right)
    assert_close(found.solution, exact, "P steps", condition=6.0**2)
    with pytest.raises(ClaimViolated):
        assert_close(found.solution, torch.linalg.solve(matrix, right), "without the damping", condition=6.0**2)


def test_the_quadratic_falls_at_every_step_and_is_the_one_of_the_iterate() -> None:
    matrix, right = spectral([10.0**-i for i in range(5)])
    found = truncated_conjugate_gradients(matrix, right, damping=1e-3, iterations=5)
    assert monotone(found.model)
    damped = matrix + 1e-3 * torch.eye(5, dtype=torch.float64)
    for i in range(1, 6):
        x = truncated_conjugate_gradients(matrix, right, damping=1e-3, iterations=i).solution
        expected = x @ (damped @ x) / 2 - right @ x
        assert_close(torch.tensor(found.model[i], dtype=torch.float64), expected, "the quadratic", condition=1e3, size=5)
    assert not monotone((0.0, -1.0, -0.5))  # the control
    assert found.model[0] == 0


def a_norm_errors(matrix: Tensor, right: Tensor, steps: int, preconditioner: Tensor | None = None) -> list[float]:
    """Errors in the norm of the matrix after 0, 1, ..., relative to the first."""
    exact = torch.linalg.solve(matrix, right)
    errors = []
    for i in range(steps + 1):
        found = truncated_conjugate_gradients(matrix, right, preconditioner=preconditioner, tolerance=0.0, iterations=i)
        error = found.solution - exact
        errors.append(math.sqrt(float(error @ (matrix @ error))))
    return [error / errors[0] for error in errors]


def test_the_error_keeps_to_the_bound_of_the_condition_number() -> None:
    condition = 100.0
    matrix, right = spectral(torch.linspace(1, condition, 40).tolist())
    root = math.sqrt(condition)
    bounds = [2 * ((root - 1) / (root + 1)) ** i for i in range(21)]
    errors = a_norm_errors(matrix, right, 20)
    assert all(error <= bound for error, bound in zip(errors, bounds, strict=True))
    # the control: steepest descent, whose rate has the condition number itself, does not keep to it
    x, exact, steepest = torch.zeros_like(right), torch.linalg.solve(matrix, right), []
    for _ in range(21):
        steepest.append(float((x - exact) @ (matrix @ (x - exact))) ** 0.5)
        residual = right - matrix @ x
        x = x + residual @ residual / (residual @ (matrix @ residual)) * residual
    assert any(error / steepest[0] > bound for error, bound in zip(steepest, bounds, strict=True))


def test_products_are_counted() -> None:
    matrix, right = spectral([1.0, 2.0, 3.0, 4.0, 5.0])
    for start, extra in ((None, 0), (torch.ones(5, dtype=torch.float64), 1)):
        counted = Counted(matrix)
        found = truncated_conjugate_gradients(counted, right, iterations=3, start=start)
        assert found.products == counted.count == 3 + extra
        assert len(found.model) == 4
        assert found.reason == "iterations"


def test_the_tolerance_is_that_of_the_true_residual() -> None:
    matrix, right = spectral([float(i) for i in range(1, 21)])
    found = truncated_conjugate_gradients(matrix, right, tolerance=1e-3)
    residual = float((right - matrix @ found.solution).norm() / right.norm())
    assert found.reason == "residual"
    assert residual <= 1e-3
    assert_close(torch.tensor(found.residual), torch.tensor(residual), "its recurrence", condition=20, size=20)
    one_fewer = truncated_conjugate_gradients(matrix, right, tolerance=1e-3, iterations=found.products - 1)
    assert one_fewer.residual > 1e-3  # it stops no later than it must


def first_stalled(model: tuple[float, ...], progress: float) -> int | None:
    """Martens's criterion by its formula, over a whole history: the first iteration at which it holds."""
    for i in range(1, len(model)):
        k = max(10, i // 10)
        if i > k and model[i] < 0 and (model[i] - model[i - k]) / model[i] < k * progress:
            return i
    return None


@pytest.mark.parametrize("progress", [5e-4, 1e-2])
def test_it_stops_where_the_progress_of_the_quadratic_falls_short(progress: float) -> None:
    matrix, right = spectral(torch.logspace(0, 4, 200).tolist())
    whole = truncated_conjugate_gradients(matrix, right, tolerance=0.0, iterations=150)
    found = truncated_conjugate_gradients(matrix, right, tolerance=0.0, progress=progress, iterations=150)
    expected = first_stalled(whole.model, progress)
    assert expected is not None
    assert found.reason == "progress"
    assert found.products == expected
    assert found.model == whole.model[: expected + 1]
    assert first_stalled(whole.model, 2 * progress) != expected  # the control: the threshold matters


def test_progress_is_judged_after_more_than_ten_iterations() -> None:
    matrix, right = spectral(torch.logspace(0, 4, 200).tolist())
    for progress, products in ((0.2, 11), (1e-9, 30)):  # two times what there is of the quadratic, or next to nothing
        found = truncated_conjugate_gradients(matrix, right, tolerance=0.0, progress=progress, iterations=30)
        assert found.products == products


def test_a_negative_curvature_ends_the_iteration_with_its_direction() -> None:
    matrix, right = spectral([4.0, 2.0, 1.0, -0.5])
    found = truncated_conjugate_gradients(matrix, right)
    assert found.reason == "curvature"
    assert found.direction is not None
    assert float(found.direction @ (matrix @ found.direction)) <= 0
    assert found.products == len(found.model)  # the last product bought no step
    assert bool(found.solution.isfinite().all())
    damped = truncated_conjugate_gradients(matrix, right, damping=1.0)
    assert (damped.reason, damped.direction) == ("residual", None)  # the control: damping makes it positive definite


@both_dtypes
def test_a_kernel_met_off_the_range_is_noticed_in_spite_of_rounding(dtype: torch.dtype) -> None:
    matrix, right = spectral([3.0, 2.0, 1.0, 0.0, 0.0], dtype)
    found = truncated_conjugate_gradients(matrix, right, tolerance=0.0)
    assert found.reason == "curvature"
    # a step along the kernel, where rounding alone makes a curvature, would be some 1 / u long
    assert float(found.solution.norm()) < float(right.norm()) / unit_roundoff(dtype) ** 0.5
    on_range = truncated_conjugate_gradients(matrix, matrix @ right, tolerance=1e3 * unit_roundoff(dtype))
    assert on_range.reason == "residual"
    expected = torch.linalg.pinv(matrix.double(), rtol=1e-5) @ (matrix @ right).double()
    assert_close(on_range.solution, expected, "least norm", condition=9.0)


def test_a_zero_matrix_has_no_curvature_and_a_zero_right_hand_side_no_iteration() -> None:
    zero, one = torch.zeros(3, 3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    found = truncated_conjugate_gradients(zero, one)
    assert (found.reason, found.products, float(found.solution.norm())) == ("curvature", 1, 0.0)
    nothing = truncated_conjugate_gradients(torch.eye(3, dtype=torch.float64), 0 * one)
    assert nothing == Truncated(nothing.solution, 0, "residual", 0.0, (0.0,))
    assert truncated_conjugate_gradients(torch.eye(3, dtype=torch.float64), one).products == 1  # the control


def test_the_diagonal_preconditions_a_scaled_matrix_away() -> None:
    scales = torch.logspace(0, 3, 30, dtype=torch.float64)
    core = spectral([1.0 + (i % 3) for i in range(30)])
    matrix, right = scales[:, None] * core[0] * scales, core[1]
    exact = torch.linalg.solve(matrix, right)
    preconditioned = a_norm_errors(matrix, right, 3, preconditioner=scales**2)
    assert preconditioned[3] < 1e-10  # S C S with C of three eigenvalues, preconditioned by S^2: three steps
    assert preconditioned[2] > 1e-3
    assert a_norm_errors(matrix, right, 3)[3] > 1e-3  # the control: not without
    assert a_norm_errors(matrix, right, 3, preconditioner=1 / scales**2)[3] > 1e-3  # nor with its inverse
    found = truncated_conjugate_gradients(matrix, right, preconditioner=scales**2, tolerance=1e-8)
    assert_close(found.solution * scales, exact * scales, "in the scaled unknowns", condition=1e6)


def test_it_starts_where_it_is_told() -> None:
    matrix, right = spectral([1.0, 2.0, 3.0, 4.0])
    exact = torch.linalg.solve(matrix, right)
    near = truncated_conjugate_gradients(matrix, right, start=exact, tolerance=1e-12)
    assert (near.products, near.reason) == (1, "residual")
    far = truncated_conjugate_gradients(matrix, right, start=torch.ones(4, dtype=torch.float64), tolerance=0.0, iterations=4)
    assert_close(far.solution, exact, "from elsewhere", condition=16)
    one = torch.ones(4, dtype=torch.float64)
    quadratic = one @ (matrix @ one) / 2 - right @ one  # from zero the residual is orthogonal to x; from elsewhere it is not
    assert_close(torch.tensor(far.model[0], dtype=torch.float64), quadratic, "the quadratic of the start", size=4)
    damped = torch.linalg.solve(matrix + torch.eye(4, dtype=torch.float64), right)
    near = truncated_conjugate_gradients(matrix, right, damping=1.0, start=damped, tolerance=1e-12)
    assert (near.products, near.reason) == (1, "residual")
    assert truncated_conjugate_gradients(matrix, right, damping=1.0, start=exact, tolerance=1e-12).products > 1  # the control


def test_what_does_not_fit_is_refused() -> None:
    right = torch.ones(2)
    with pytest.raises(ProblemError, match="do not fit"):
        truncated_conjugate_gradients(torch.eye(3), right)
    with pytest.raises(ProblemError, match="must not be negative"):
        truncated_conjugate_gradients(torch.eye(2), right, -1.0)
    with pytest.raises(ProblemError, match="positive diagonal"):
        truncated_conjugate_gradients(torch.eye(2), right, preconditioner=torch.tensor([1.0, 0.0]))


def test_the_window_of_progress_grows_with_the_iterations() -> None:
    model = [-float(min(i, 185)) for i in range(201)]  # no gain in the last 15 of 200 iterations
    assert not _stalled(model, 1e-3)  # over 20 of them it gained 5 / 185, more than 20 epsilon
    assert _stalled(model, 2e-3)
    assert _stalled(model[:96] + 11 * model[95:96], 1e-3)  # up to 109 iterations the window is 10
