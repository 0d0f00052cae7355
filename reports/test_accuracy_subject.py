"""Subjects are measured guarded: what they declare, build, refuse and break."""

import time
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, hessian, kfac, monte_carlo_fisher
from fishergauge.reports.accuracy_approximations import approximations
from fishergauge.reports.accuracy_measurement import Exact, measured
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_subject import Examined
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import catalogue_problem


@pytest.fixture(scope="module")
def exact() -> Exact:
    return Exact(catalogue_problem("mlp-tanh-softmax"))


def row_of(subject: Subject, exact: Exact, limit: float = 10.0) -> Row:
    return Examined(subject, exact, limit, 0).row()


def test_a_subject_is_measured_as_the_catalogue_is(exact: Exact) -> None:
    mine = row_of(Subject("mine", lambda p: fisher(p).dense()), exact)
    theirs = measured(approximations()["exact-fisher"], exact)
    assert (mine.kind, mine.outcome, mine.exact) == ("subject", "measured", True)
    assert (mine.flops, mine.stored, mine.forward_passes) == (theirs.flops, theirs.stored, theirs.forward_passes)
    assert mine.timed_seconds is not None


def test_products_that_run_through_the_model_build_nothing(exact: Exact) -> None:
    lazy = row_of(Subject("lazy", fisher), exact)
    assert (lazy.outcome, lazy.exact, lazy.flops, lazy.stored) == ("measured", True, None, None)
    assert lazy.step_flops is not None
    assert lazy.step_error is not None
    assert lazy.step_error < 1e-8
    factors = row_of(Subject("factors", kfac, structure="kronecker"), exact)
    assert factors.flops == measured(approximations()["kfac-joint"], exact).flops
    assert factors.stored == measured(approximations()["kfac-joint"], exact).stored


def test_the_step_is_taken_by_its_own_solve(exact: Exact) -> None:
    def twice(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        solved: Tensor = torch.linalg.solve(matrix + damping * torch.eye(len(matrix), dtype=matrix.dtype), vector)
        return 2 * solved

    row = row_of(Subject("twice", lambda p: fisher(p).dense(), solve=twice), exact)
    assert row.step_error == pytest.approx(1.0, rel=1e-9)
    assert row.step_angle == pytest.approx(0.0, abs=1e-9)


def test_another_target_has_a_distance_of_its_own(exact: Exact) -> None:
    row = row_of(Subject("hess", lambda p: hessian(p).dense(), target="hessian"), exact)
    assert row.own_distance == pytest.approx(0.0, abs=1e-12)
    assert row.distance is not None
    assert row.distance > 0.01


def test_a_drawn_subject_draws_the_same_every_time(exact: Exact) -> None:
    def drawn(problem: Problem, generator: torch.Generator, samples: int) -> Tensor:
        return monte_carlo_fisher(problem, samples, generator).dense()

    subject = Subject("drawn", drawn, samples=4)
    assert row_of(subject, exact).distance == row_of(subject, exact).distance
    assert Examined(subject, exact, 10.0, 1).row().distance != row_of(subject, exact).distance


def raises(_: Problem) -> Tensor:
    raise ValueError("no luck")


def refuses(_: Problem) -> Tensor:
    raise NotImplementedError("not today")


def misshapen(_: Problem) -> Tensor:
    return torch.eye(3, dtype=torch.float64)


def sleeps(_: Problem) -> Tensor:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    return torch.eye(1)


@pytest.mark.parametrize(
    ("build", "outcome", "said"),
    [
        (raises, "error", "ValueError: no luck"),
        (refuses, "refused", "not today"),
        (misshapen, "error", "returned shape (3, 3)"),
        (sleeps, "error", "stopped after 0.3 s"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_else_is(build: Any, outcome: str, said: str, exact: Exact) -> None:
    row = row_of(Subject("mine", build), exact, limit=0.3)
    assert row.outcome == outcome
    assert said in row.reason
    assert row.distance is row.flops is row.step_flops is row.exact is None


def test_a_solve_that_fails_costs_the_step_alone(exact: Exact) -> None:
    def solve(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        raise RuntimeError("singular")

    row = row_of(Subject("mine", lambda p: fisher(p).dense(), solve=solve), exact)
    assert (row.outcome, row.exact, row.step_error, row.step_flops) == ("measured", True, None, None)
    assert "singular" in row.step_reason
    assert row.flops is not None


def test_a_subject_that_works_only_once_has_no_figures(exact: Exact) -> None:
    calls: list[Problem] = []

    def once(problem: Problem) -> Tensor:
        calls.append(problem)
        if len(calls) > 1:
            raise RuntimeError("only once")
        return fisher(problem).dense()

    row = row_of(Subject("once", once), exact)
    assert row.outcome == "error"
    assert "only once" in row.reason
    assert row.distance is row.exact is row.flops is None


def test_a_subject_that_changes_its_problem_changes_no_other(exact: Exact) -> None:
    def vandal(problem: Problem) -> Tensor:
        with torch.no_grad():
            for parameter in problem.model.parameters():
                parameter.zero_()
        return torch.eye(problem.num_parameters, dtype=problem.dtype)

    before = exact.problem.vector.clone()
    row_of(Subject("vandal", vandal, structure="none"), exact)
    assert torch.equal(exact.problem.vector, before)
