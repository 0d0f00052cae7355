"""Distances, steps and counts of the catalogue on small problems, against formulas by hand."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem, UndefinedError
from fishergauge.reports.accuracy_approximations import KINDS, RANKS, Approximation, approximations
from fishergauge.reports.accuracy_measurement import DAMPING, Exact, angle, damped_solution, measured, operations
from fishergauge.suites.zoo import catalogue_problem


@pytest.fixture(scope="module")
def exact() -> Exact:
    return Exact(catalogue_problem("mlp-tanh-softmax"))


def of(matrix: Tensor, target: str = "fisher") -> Approximation:
    return Approximation(
        "mine",
        "mine",
        "whole",
        lambda p: matrix,
        lambda m, _: m,
        lambda m, v, d, _: damped_solution(m, v, d),
        target,  # type: ignore[arg-type]
    )


def test_every_approximation_has_a_kind_and_its_name_once() -> None:
    every = approximations()
    assert all(one.kind in KINDS and one.name == name and " " not in name for name, one in every.items())
    assert len({one.label for one in every.values()}) == len(every)


@pytest.mark.parametrize("name", ["exact-fisher", "ggn", "fisher-products"])
def test_exact_ones_have_no_error_and_the_exact_step(exact: Exact, name: str) -> None:
    row = measured(approximations()[name], exact)
    assert row.exact is True
    assert row.distance is not None
    assert row.distance <= exact.rounding
    assert row.step_error is not None
    assert row.step_error < 1e-8


def test_distances_are_those_of_the_definition(exact: Exact) -> None:
    F = exact.fisher
    diagonal = measured(approximations()["fisher-diagonal"], exact)
    off = float((F - F.diagonal().diag()).norm() / F.norm())
    assert diagonal.distance == pytest.approx(off, rel=1e-12)
    assert diagonal.exact is False
    scaled = measured(approximations()["scaled-identity"], exact)
    mean = float(F.diagonal().mean())
    nearest = math.sqrt(1 - mean**2 * len(F) / float(F.norm()) ** 2)  # no other multiple of the identity is nearer
    assert scaled.distance == pytest.approx(nearest, rel=1e-12)
    values = torch.linalg.eigvalsh(F)
    for rank in RANKS:
        left = float(values[:-rank].norm() / F.norm())
        assert measured(approximations()[f"low-rank-{rank}"], exact).distance == pytest.approx(left, rel=1e-6, abs=1e-9)


def test_an_approximation_of_something_else_has_two_distances(exact: Exact) -> None:
    row = measured(approximations()["empirical-fisher"], exact)
    empirical = reference.empirical_fisher(exact.problem).dense()
    assert row.own_distance == pytest.approx(0.0, abs=1e-12)
    assert row.distance == pytest.approx(float((empirical - exact.fisher).norm() / exact.fisher.norm()), rel=1e-12)
    assert measured(approximations()["fisher-diagonal"], exact).own_distance is None


def test_the_step_is_that_of_the_declared_damping(exact: Exact) -> None:
    F, g = exact.fisher, exact.gradient
    assert exact.damping == pytest.approx(DAMPING * float(F.trace()) / len(F), rel=1e-12)
    row = measured(of(2 * F), exact)
    ours = torch.linalg.solve(2 * F + exact.damping * torch.eye(len(F), dtype=F.dtype), g)
    theirs = torch.linalg.solve(F + exact.damping * torch.eye(len(F), dtype=F.dtype), g)
    assert row.step_error == pytest.approx(float((ours - theirs).norm() / theirs.norm()), rel=1e-9)
    cosine = float(ours @ theirs / ours.norm() / theirs.norm())
    assert row.step_angle == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-6)


def test_angles_are_accurate_where_they_are_small_and_there_is_none_to_zero() -> None:
    one = torch.tensor([1.0, 0.0], dtype=torch.float64)
    small = angle(one, torch.tensor([1.0, 1e-10], dtype=torch.float64))
    assert small == pytest.approx(math.degrees(1e-10), rel=1e-6)
    assert angle(one, -one) == pytest.approx(180.0)
    assert angle(one, torch.zeros(2, dtype=torch.float64)) is None


def test_operations_count_products_and_factorisations() -> None:
    matrix = torch.eye(6, dtype=torch.float64)
    assert operations(lambda: matrix @ matrix) == 2 * 6**3
    assert operations(lambda: torch.linalg.cholesky_ex(matrix)) == 6**3 // 3
    assert operations(lambda: torch.linalg.eigh(matrix)) == 9 * 6**3


def test_cost_up_to_the_step_holds_that_of_building_and_of_solving(exact: Exact) -> None:
    P = exact.problem.num_parameters
    row = measured(approximations()["exact-fisher"], exact)
    assert row.flops is not None
    assert row.step_flops is not None
    assert row.step_flops >= row.flops + round(P**3 / 3) + 2 * P**2
    products = measured(approximations()["fisher-products"], exact)
    assert (products.flops, products.stored, products.timed_seconds) == (None, None, None)
    assert products.step_flops is not None
    assert row.timed_seconds is not None
    assert row.timed_seconds > 0


def test_drawn_ones_are_the_same_every_time_and_nearer_with_more_draws() -> None:
    exact = Exact(catalogue_problem("softmax-regression"))
    first, again = (measured(approximations()["monte-carlo-8"], exact) for _ in range(2))
    assert first.distance == again.distance
    many = measured(approximations()["monte-carlo-64"], exact)
    assert many.distance is not None
    assert first.distance is not None
    assert many.distance < first.distance


def test_refusals_and_errors_are_told_apart_and_hold_no_figures(exact: Exact) -> None:
    attention = Exact(catalogue_problem("small-attention"))
    refused = measured(approximations()["kfac-joint"], attention)
    assert (refused.outcome, refused.red) == ("refused", False)
    assert "embedding" in refused.reason
    assert refused.distance is refused.flops is refused.step_error is None

    def undefined(problem: Problem) -> Tensor:
        raise UndefinedError("no such thing")

    def failing(problem: Problem) -> Tensor:
        raise ZeroDivisionError("by nothing")

    one = of(exact.fisher)
    assert measured(Approximation("u", "u", "whole", undefined, one.matrix, one.solve), exact).outcome == "refused"
    failed = measured(Approximation("f", "f", "whole", failing, one.matrix, one.solve), exact)
    assert (failed.outcome, failed.red, failed.reason) == ("error", True, "ZeroDivisionError: by nothing")


def test_a_step_that_is_not_finite_is_said_to_be_none(exact: Exact) -> None:
    one = Approximation("i", "i", "whole", lambda p: exact.fisher, lambda m, _: m, lambda m, v, d, _: v / 0)
    row = measured(one, exact)
    assert row.outcome == "measured"
    assert row.step_error is None
    assert "NaN or infinite" in row.step_reason


def test_a_fisher_that_is_not_defined_cannot_be_held_against_anything() -> None:
    with pytest.raises(UndefinedError):
        Exact(catalogue_problem("class-weights"))


def test_a_matrix_with_negative_eigenvalues_is_solved_with_all_the_same() -> None:
    found = damped_solution(torch.tensor([[-3.0]]), torch.tensor([4.0]), 1.0)
    assert found.tolist() == [-2.0]
