"""One approximation of the Fisher on one problem: how near it is, and what it costs."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError
from fishergauge.reference.gradient import gradient
from fishergauge.reports.accuracy_approximations import Approximation
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_stored import stored_numbers
from fishergauge.suites.benchmarks.passes import Count, count_prepared
from fishergauge.suites.closeness import relative_deviation, rounding_bound
from fishergauge.suites.factorisation_counts import FACTORISATIONS
from fishergauge.suites.flop_counter import FlopCounter
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.subject import Target
from fishergauge.suites.workers import heartbeat

DAMPING = 0.1  # lambda, in units of the mean eigenvalue of the exact Fisher
CALLS = 3  # that are timed
SLOW = 0.1  # seconds from which on one call is enough
REFUSALS = (NotImplementedError, UndefinedError)


class Exact:
    """A problem with the exact Fisher, the gradient, the damping and the step that all others are held against.

    Args:
        problem: whose Fisher is defined.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.quantities = QuantityCache()
        self.fisher = self.quantities.target(problem, "fisher")
        self.gradient = self.quantities.gradient(problem)
        self.damping = DAMPING * float(self.fisher.diagonal().mean())
        self.step = damped_solution(self.fisher, self.gradient, self.damping)
        self.rounding = rounding_bound(problem.dtype, problem.num_parameters)

    def with_distances(self, row: Row, matrix: Tensor, target: Target) -> Row:
        """A row with how far a matrix is from the Fisher, and from its own target where that is another.

        Args:
            row: as far as it is known.
            matrix: ``(P, P)``.
            target: what it approximates.
        """
        distance = relative_deviation(matrix, self.fisher)
        own = relative_deviation(matrix, self.quantities.target(self.problem, target)) if target != "fisher" else None
        return replace(row, distance=distance, exact=distance <= self.rounding, own_distance=own)

    def with_step(self, row: Row, solution: Tensor) -> Row:
        """A row with how far a damped solution is from the exact one.

        Args:
            row: as far as it is known.
            solution: ``(P,)``.
        """
        if not bool(solution.isfinite().all()):
            return replace(row, step_reason="the damped step has entries that are NaN or infinite")
        error = relative_deviation(solution, self.step)
        return replace(row, step_error=error, step_angle=angle(solution, self.step))


def damped_solution(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    """The solution of (M + lambda I) x = v, also where M has negative eigenvalues.

    Args:
        matrix: ``(P, P)``.
        vector: ``(P,)``.
        damping: lambda.
    """
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    found: Tensor = torch.linalg.solve(damped, vector)
    return found


def angle(one: Tensor, other: Tensor) -> float | None:
    """The angle between two vectors in degrees, accurate also where it is small; None where one of them is zero.

    Args:
        one: ``(P,)``.
        other: ``(P,)``.

    Example:
        >>> round(angle(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])), 3)
        45.0
    """
    one, other = one.double(), other.double()
    sizes = float(one.norm()), float(other.norm())
    if 0.0 in sizes:
        return None
    u, v = one / sizes[0], other / sizes[1]
    return math.degrees(2 * math.atan2(float((u - v).norm()), float((u + v).norm())))


def operations(call: Callable[[], Any]) -> int:
    """Floating-point operations of a call, those of factorisations included.

    Args:
        call: run once.
    """
    with FlopCounter(FACTORISATIONS) as counter:
        call()
    return int(counter.get_total_flops())


def built_cost(build: Callable[[Problem], Any], problem: Problem) -> tuple[int, Count]:
    """Operations and passes of building.

    Args:
        build: an approximation.
        problem: a copy of its own.
    """
    flops = 0

    def call() -> None:
        nonlocal flops
        flops = operations(lambda: build(problem))

    passes = count_prepared(lambda _: call, problem)
    return flops, passes


def measured(one: Approximation, exact: Exact) -> Row:
    """The row of an approximation of the catalogue; without what is on the front.

    Args:
        one: the approximation.
        exact: the problem.
    """
    problem = exact.problem
    row = Row(problem.name, one.name, one.label, one.kind, one.target)
    try:
        kept, seconds = _timed(lambda: one.build(problem))
        row = exact.with_distances(row, one.matrix(kept, problem), one.target)
        row = exact.with_step(row, one.solve(kept, exact.gradient, exact.damping, problem))
        flops, passes = built_cost(one.build, fresh_copy(problem))
        solving = operations(lambda: one.solve(kept, gradient(problem), exact.damping, problem))
    except REFUSALS as error:
        return replace(_blank(row), outcome="refused", reason=str(error))
    except Exception as error:  # said, and red, but the others go on
        return replace(_blank(row), outcome="error", reason=f"{type(error).__name__}: {error}")
    row = replace(row, step_flops=flops + solving)
    if not one.built:
        return row
    return replace(
        row,
        flops=flops,
        stored=stored_numbers(kept),
        forward_passes=passes.forward_passes,
        backward_passes=passes.backward_passes,
        timed_seconds=seconds,
    )


def _blank(row: Row) -> Row:
    return Row(row.problem, row.approximation, row.label, row.kind, row.target)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and the median of the seconds of a few; of one alone where it is slow."""
    times: list[float] = []
    while len(times) < CALLS and (not times or times[0] < SLOW):
        heartbeat()
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    heartbeat()
    return value, statistics.median(times)
