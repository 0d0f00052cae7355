import pytest
import torch
from torch import Tensor

from fishergauge.reference import ConvergenceError, empirical_fisher, ggn, gradient, natural_gradient_step
from fishergauge.reports.gauss_newton.empirical_descent import Descent, empirical_descent
from fishergauge.reports.gauss_newton.linear_descent import linear_descent
from fishergauge.reports.gauss_newton.log_normal_regression import STARTS, drawn_data, regression_problem
from fishergauge.reports.gauss_newton.matrix_distance import angle, eigenvector_angle, scaled_distance
from fishergauge.reports.gauss_newton.regression_moments import RegressionMoments, extended, moments_of
from fishergauge.reports.gauss_newton.vector_field_paths import MULTIPLIERS, described, is_line, matrix_of, steps_of
from fishergauge.suites.closeness import assert_apart, assert_close, relative_deviation

START = torch.tensor(STARTS, dtype=torch.float64)


def walked(steps: int, length: float, tau: float, empirical: bool) -> Tensor:
    """The path from the first start by the reference quantities, step by step; the prior is in the gradient alone."""
    problem, point = regression_problem(drawn_data(0, 60), START[0]), START[0]
    points = [point]
    for _ in range(steps):
        here = problem.at(point)
        matrix = empirical_fisher(here).dense() / 4 if empirical else ggn(here).dense() / 2
        point = point + natural_gradient_step(matrix, gradient(here) / 2 + tau * point, length)
        points.append(point)
    return torch.stack(points)


def test_the_closed_form_is_the_walk() -> None:
    data = drawn_data(0, 60)
    moments = moments_of(data, 0.1)
    literal = walked(12, 0.3, 0.1, empirical=False)
    for matrix, agrees in ((matrix_of("ggn", "mixed", moments, data, 0.0), True), (torch.eye(2).double(), False)):
        left = linear_descent(matrix, moments.posterior_hessian, 0.3).deviations(START - moments.optimum, torch.arange(13))
        path = moments.optimum + left[:, 0]
        if agrees:
            assert_close(path, literal, "path", condition=100)
        else:
            assert_apart(path, literal, "path of the gradient")


def test_a_number_of_steps_is_the_first_that_arrives() -> None:
    hessian = torch.tensor([[2.0, 0.3], [0.3, 0.5]], dtype=torch.float64)
    preconditioner = torch.tensor([[1.5, -0.2], [-0.2, 1.0]], dtype=torch.float64)
    descent = linear_descent(preconditioner, hessian, 0.2)
    step = torch.eye(2, dtype=torch.float64) - 0.2 * torch.linalg.solve(preconditioner, hessian)
    found = descent.steps_to(START, 1e-3)
    for start, count in zip(START, found.tolist(), strict=True):
        lengths = [float((torch.linalg.matrix_power(step, t) @ start).norm()) for t in (count - 1, count)]
        assert lengths[1] <= 1e-3 < lengths[0]
    assert int(descent.steps_to(torch.zeros(1, 2, dtype=torch.float64), 1e-3)) == 0


def test_a_step_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="shorten"):
        linear_descent(torch.eye(2), torch.eye(2), 2.0).steps_to(torch.ones(1, 2), 1e-3)


def test_descents_of_several_problems_are_those_of_each() -> None:
    matrices = torch.stack([torch.eye(2), torch.tensor([[2.0, 1.0], [1.0, 3.0]])]).double()
    hessians = matrices.flip(0)
    together = linear_descent(matrices, hessians, 0.1)
    starts, steps = START.expand(2, -1, -1), torch.arange(5)
    for i in (0, 1):
        alone = linear_descent(matrices[i], hessians[i], 0.1)
        assert_close(together.deviations(starts, steps)[i], alone.deviations(START, steps), "deviations")
        assert torch.equal(together.steps_to(starts, 1e-6)[i], alone.steps_to(START, 1e-6))


def test_the_descent_of_the_empirical_fisher_is_the_walk() -> None:
    moments = moments_of(drawn_data(0, 60), 0.1)
    literal = walked(12, 0.3, 0.1, empirical=True)
    descent = empirical_descent(moments, START, 0.3, 12, 1e-6)
    assert_close(descent.points[:, 0], literal, "path", condition=amplification(moments, literal))
    frozen = linear_descent(moments.empirical_fisher(START)[0], moments.posterior_hessian, 0.3)
    stale = moments.optimum + frozen.deviations(START - moments.optimum, torch.arange(13))[:, 0]
    assert_apart(stale, literal, "path with the matrix of the start")
    length = literal.diff(dim=0).norm(dim=1).sum()
    assert_close(descent.arcs[0], length, "length", condition=amplification(moments, literal) * float(literal.norm() / length))


def test_the_ridge_is_added_to_the_empirical_fisher() -> None:
    moments = moments_of(drawn_data(0, 60))
    right = moments.empirical_fisher(START) + 5 * torch.eye(2, dtype=torch.float64)
    step = torch.linalg.solve(right, moments.gradient(START))
    descent = empirical_descent(moments, START, 0.3, 1, 1e-6, ridge=5.0)
    assert_close(descent.points[1], START - 0.3 * step, "first step", condition=100)
    assert_apart(empirical_descent(moments, START, 0.3, 1, 1e-6).points[1], START - 0.3 * step, "no ridge")


def amplification(moments: RegressionMoments, points: Tensor) -> float:
    """Condition numbers of the matrices along a path, times what cancels in their entries."""
    matrices = moments.empirical_fisher(points)
    terms = moments.fourth.norm() * extended(points).square().sum(-1)
    return float((torch.linalg.cond(matrices) * terms / matrices.flatten(1).norm(dim=1)).max())


def test_arrivals_are_the_first_points_within_the_tolerance() -> None:
    moments = moments_of(drawn_data(0, 60))
    descent = empirical_descent(moments, START, 0.5, 400, 1e-3)
    lengths = (descent.points - moments.optimum).norm(dim=-1)
    for i, arrival in enumerate(descent.arrivals.tolist()):
        assert lengths[arrival, i] <= 1e-3 < lengths[arrival - 1, i]
    assert len(descent.points) - 1 < 400  # it ended soon after the last one
    assert empirical_descent(moments, START, 0.5, 2, 1e-3).arrivals.tolist() == [-1] * 4


def test_empirical_descents_of_several_data_sets_are_those_of_each() -> None:
    sets = [moments_of(drawn_data(seed, 60)) for seed in (0, 1)]
    both = RegressionMoments(torch.stack([one.second for one in sets]), torch.stack([one.fourth for one in sets]))
    together = empirical_descent(both, START.expand(2, -1, -1), 0.1, 30, 1e-6)
    for i, one in enumerate(sets):
        alone = empirical_descent(one, START, 0.1, 30, 1e-6).points
        assert_close(together.points[:, i], alone, "points", condition=amplification(one, alone.flatten(0, 1)))


def turned(points: Tensor) -> Descent:
    return Descent(points, points.diff(dim=0).norm(dim=-1).sum(0), torch.zeros(1, dtype=torch.long))


def test_straightness_of_a_line_and_of_a_half_circle() -> None:
    angles = torch.linspace(torch.pi, 0, 2001, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)[:, None]
    (row,) = described(turned(circle), circle[0], circle[-1, 0])
    assert row["arc_over_chord"] == pytest.approx(torch.pi / 2 - 1, abs=1e-6)
    assert row["bow"] == pytest.approx(0.5, abs=1e-6)
    line = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None, None] * torch.tensor([3.0, -4.0], dtype=torch.float64)
    (row,) = described(turned(line), line[0], line[-1, 0])
    assert abs(row["arc_over_chord"]) < 1e-14 > row["bow"]
    assert row["left"] == 0
    assert is_line({**row, "bound": 1e-14})
    (row,) = described(turned(line), line[0], torch.tensor([3.0, -4.1], dtype=torch.float64))
    assert not is_line({**row, "bound": 1e-3})  # straight, but elsewhere


def test_paths_are_as_long_and_steps_as_large_as_published() -> None:
    assert steps_of(1e-3) + 1 == 50_000
    assert list(MULTIPLIERS.items()) == [("gradient", 1 / 3), ("ggn", 1.0), ("empirical", 3.0)]


def test_distances_and_angles() -> None:
    eye, other = torch.eye(2, dtype=torch.float64), torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert relative_deviation(other, eye) == pytest.approx(2 / 2**0.5)
    assert scaled_distance(7 * other, other) < 1e-15
    factors = torch.linspace(0, 1, 1001, dtype=torch.float64)
    least = min(relative_deviation(float(factor) * other, eye) for factor in factors)
    assert scaled_distance(other, eye) == pytest.approx(least, abs=1e-5)
    assert eigenvector_angle(other, torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))) == pytest.approx(90)
    tilted = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)  # along the diagonal
    assert eigenvector_angle(other, tilted) == pytest.approx(45)
    for degrees in range(0, 180, 15):  # eigenvectors have no sign
        along = torch.tensor([degrees], dtype=torch.float64).deg2rad()
        vector = torch.cat([along.cos(), along.sin()])
        assert eigenvector_angle(torch.outer(vector, vector), other) == pytest.approx(abs(90 - degrees), abs=1e-6)
    small = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    assert float(angle(small, eye[0])) == pytest.approx(1e-9 * 180 / torch.pi, rel=1e-6)
    assert float(angle(-eye[0], eye[0])) == pytest.approx(180)
