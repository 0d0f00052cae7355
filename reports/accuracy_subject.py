"""A subject of the user on one problem: how near it is to the Fisher, and what it costs. Guarded and limited in time."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, conjugate_gradients
from fishergauge.reference.gradient import gradient
from fishergauge.reports.accuracy_approximations import TOLERANCE
from fishergauge.reports.accuracy_measurement import CALLS, SLOW, Exact, built_cost, damped_solution, operations
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_stored import stored_numbers
from fishergauge.suites.benchmarks.passes import Count, count_prepared
from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.guard import Failure, fresh_copy
from fishergauge.suites.matrix import multiplied
from fishergauge.suites.subject import Subject


@dataclass(frozen=True, eq=False)
class _Products:
    """A matrix of others as products with single vectors alone."""

    matrix: Any
    problem: Problem

    @property
    def shape(self) -> tuple[int, int]:
        return 2 * (self.problem.num_parameters,)

    def __matmul__(self, vector: Tensor) -> Tensor:
        return multiplied(self.matrix, vector[:, None], self.problem)[:, 0]


class Examined:
    """A subject on a problem.

    Args:
        subject: under test; called on copies.
        exact: the problem.
        limit: seconds that one call may take.
        seed: of its draws.
    """

    def __init__(self, subject: Subject, exact: Exact, limit: float, seed: int) -> None:
        self.subject = subject
        self.exact = exact
        self.case = Case(subject, exact.problem, exact.quantities, limit, seed)

    def row(self) -> Row:
        """What was measured of it; without what is on the front."""
        subject, exact, case = self.subject, self.exact, self.case
        row = Row(exact.problem.name, subject.name, subject.name, "subject", subject.target)
        try:
            matrix = case.matrix()
            row = exact.with_distances(row, matrix, subject.target)
            alone = self._products_alone()
        except SubjectFailed as failed:
            return replace(row, **_failed(failed.failure))
        except NotImplementedError as error:  # of the reference: there is no such target here
            return replace(row, outcome="refused", reason=str(error))
        try:
            flops, passes = self._observed(lambda p: built_cost(case.build, p))
        except SubjectFailed as failed:  # it has worked once, and fails where it is counted
            return replace(row, **_failed(failed.failure))
        try:
            row = exact.with_step(row, self._solution(alone, matrix))
            row = replace(row, step_flops=flops + self._observed(lambda p: self._solving(p, alone)))
        except SubjectFailed as failed:
            row = replace(row, step_reason=failed.failure.reason)
        if alone:
            return row
        return replace(
            row,
            flops=flops,
            stored=stored_numbers(case.raw()),
            forward_passes=passes.forward_passes,
            backward_passes=passes.backward_passes,
            timed_seconds=self._seconds(),
        )

    def _products_alone(self) -> bool:
        """Whether a product runs through the model: then nothing was built."""
        if isinstance(self.case.raw(), Tensor):
            return False

        def product(problem: Problem) -> Count:
            ones = torch.ones(problem.num_parameters, 1, dtype=problem.dtype, device=problem.device)

            def prepared(at: Problem) -> Callable[[], Any]:
                raw = self.case.build(at)
                return lambda: multiplied(raw, ones, problem)

            return count_prepared(prepared, problem)

        counted = self._observed(product)
        return bool(counted.forward_passes or counted.backward_passes)

    def _solution(self, alone: bool, matrix: Tensor) -> Tensor:
        case, exact = self.case, self.exact
        if self.subject.solve is not None:
            return case.solve(exact.gradient, exact.damping)
        if alone:
            raw = case.raw()
            found: Tensor = case.inside(lambda: self._by_products(raw, exact.gradient))
            return found
        solved: Tensor = case.inside(lambda: damped_solution(matrix, exact.gradient, exact.damping))
        return solved

    def _solving(self, problem: Problem, alone: bool) -> int:
        """Operations from the matrix to the damped step: by its own solve, by products alone, or by a dense solution."""
        damping, solve = self.exact.damping, self.subject.solve
        raw = self.case.build(problem)

        def call() -> None:
            vector = gradient(self.exact.problem)
            if solve is not None:
                solve(raw, vector, damping)
            elif alone:
                self._by_products(raw, vector)
            else:
                unit = torch.eye(len(vector), dtype=vector.dtype, device=vector.device)
                dense = raw if isinstance(raw, Tensor) else multiplied(raw, unit, problem)
                damped_solution(dense.detach().to_dense(), vector, damping)

        return operations(call)

    def _by_products(self, raw: Any, vector: Tensor) -> Tensor:
        return conjugate_gradients(_Products(raw, self.exact.problem), vector, self.exact.damping, TOLERANCE)

    def _observed(self, function: Callable[[Problem], Any]) -> Any:
        """What a guarded function of a copy gives."""
        outcome = self.case.observed(function, fresh_copy(self.exact.problem))
        if outcome.failure is not None:
            raise SubjectFailed(outcome.failure)
        return outcome.value

    def _seconds(self) -> float | None:
        """The median of the seconds of a few calls."""
        times: list[float] = []
        while len(times) < CALLS and (not times or times[0] < SLOW):
            outcome = self.case.observed(self.case.build, fresh_copy(self.exact.problem))
            if outcome.failure is not None:
                return None
            times.append(outcome.seconds)
        return statistics.median(times)


def _failed(failure: Failure) -> dict[str, Any]:
    refused = failure.kind in ("unsupported", "undefined")
    blank = {"distance": None, "exact": None, "own_distance": None, "step_error": None, "step_angle": None, "step_flops": None}
    return {**blank, "outcome": "refused" if refused else "error", "reason": failure.reason}
