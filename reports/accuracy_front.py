"""Who is worth the cost: the front of Pareto in cost and distance, and who dominates the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fishergauge.reports.accuracy_row import Row

NOTHING = "zero-matrix"
"""What costs nothing, at the distance one: whatever is farther is worth less than that."""


@dataclass(frozen=True)
class Point:
    """A cost and an error, both to be small.

    Args:
        name: whose they are.
        cost: counted.
        error: zero for one that is exact.
    """

    name: str
    cost: float
    error: float


def dominates(one: Point, other: Point, rounding: float) -> bool:
    """Whether one is nowhere worse and somewhere better; errors that differ by rounding alone are equal.

    Args:
        one: the better one.
        other: the worse one.
        rounding: of errors.

    Example:
        >>> dominates(Point("a", 1, 0.1), Point("b", 2, 0.1), 1e-12), dominates(Point("a", 1, 0.1), Point("b", 1, 0.1), 1e-12)
        (True, False)
    """
    nearer, as_near = one.error < other.error - rounding, one.error <= other.error + rounding
    return one.cost <= other.cost and as_near and (one.cost < other.cost or nearer)


def front(points: Sequence[Point], rounding: float) -> list[Point]:
    """The points that none dominates, the cheapest first; of two alike both.

    Args:
        points: all of them.
        rounding: of errors.
    """
    kept = [point for point in points if not any(dominates(other, point, rounding) for other in points)]
    return sorted(kept, key=lambda point: (point.cost, -point.error))


def dominator(point: Point, on_front: Sequence[Point], rounding: float) -> Point | None:
    """The point of the front that is best instead of one: the nearest of those that dominate it, the cheapest of these.

    Args:
        point: any.
        on_front: of :func:`front`.
        rounding: of errors.
    """
    better = [one for one in on_front if dominates(one, point, rounding)]
    return min(better, key=lambda one: (one.error, one.cost)) if better else None


def with_fronts(rows: Sequence[Row], rounding: float) -> list[Row]:
    """The rows of one problem with what is on the fronts and what dominates the rest.

    In distance all compete with the zero matrix as well.

    Args:
        rows: of one problem.
        rounding: the distance that rounding explains.
    """
    nothing = Point(NOTHING, 0.0, 1.0)
    building = _judged([_point(row.approximation, row.flops, row.distance) for row in rows], rounding, nothing)
    stepping = _judged([_point(row.approximation, row.step_flops, row.step_error) for row in rows], rounding)
    return [
        replace(row, front=one[0], dominated_by=one[1], step_front=other[0], step_dominated_by=other[1])
        for row, one, other in zip(rows, building, stepping, strict=True)
    ]


def _point(name: str, cost: int | None, error: float | None) -> Point | None:
    """A point; None where either is not known."""
    return None if cost is None or error is None else Point(name, cost, error)


def _judged(points: Sequence[Point | None], rounding: float, *others: Point) -> list[tuple[bool | None, str]]:
    found = front([*others, *(point for point in points if point is not None)], rounding)
    judged: list[tuple[bool | None, str]] = []
    for point in points:
        better = None if point is None else dominator(point, found, rounding)
        judged.append((None if point is None else better is None, better.name if better else ""))
    return judged
