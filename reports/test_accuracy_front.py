"""The front of Pareto: ties, exact ones, the zero matrix, and who is named as better."""

import pytest

from fishergauge.reports.accuracy_front import Point, dominates, dominator, front, with_fronts
from fishergauge.reports.accuracy_row import Row

ROUNDING = 1e-12


def row(name: str, flops: int | None, distance: float | None, step: int | None = None, error: float | None = None) -> Row:
    return Row("p", name, name, "whole", flops=flops, distance=distance, step_flops=step, step_error=error)


def test_a_point_dominates_only_where_it_is_nowhere_worse_and_somewhere_better() -> None:
    one = Point("one", 10, 0.5)
    assert dominates(one, Point("dearer", 11, 0.5), ROUNDING)
    assert dominates(one, Point("farther", 10, 0.6), ROUNDING)
    assert not dominates(one, Point("alike", 10, 0.5), ROUNDING)
    assert not dominates(one, Point("alike but for rounding", 10, 0.5 + 1e-13), ROUNDING)
    assert not dominates(one, Point("cheaper", 9, 0.6), ROUNDING)
    assert not dominates(one, Point("nearer", 11, 0.4), ROUNDING)


def test_the_front_is_ordered_by_cost_and_keeps_those_that_are_alike() -> None:
    points = [Point("exact", 9, 0.0), Point("b", 3, 0.5), Point("twin", 3, 0.5), Point("a", 1, 0.9), Point("worse", 4, 0.6)]
    assert [point.name for point in front(points, ROUNDING)] == ["a", "b", "twin", "exact"]
    assert front([], ROUNDING) == []


def test_who_is_named_as_better_is_the_nearest_of_those_that_dominate() -> None:
    on_front = [Point("cheap", 1, 0.5), Point("near", 5, 0.1)]
    assert dominator(Point("x", 6, 0.6), on_front, ROUNDING) == on_front[1]
    assert dominator(Point("x", 4, 0.6), on_front, ROUNDING) == on_front[0]
    assert dominator(Point("x", 2, 0.3), on_front, ROUNDING) is None


def test_rows_are_judged_in_distance_and_in_the_step_each_by_itself() -> None:
    rows = [
        row("cheap", 10, 0.5, 100, 0.1),
        row("dear", 20, 0.6, 50, 0.05),
        row("exact", 30, 1e-14, 200, 1e-15),
        row("also exact", 40, 0.0, 150, 3e-14),
    ]
    judged = {one.approximation: one for one in with_fronts(rows, ROUNDING)}
    assert [judged[name].front for name in judged] == [True, False, True, False]
    assert [judged[name].dominated_by for name in judged] == ["", "cheap", "", "exact"]
    assert [judged[name].step_front for name in judged] == [False, True, False, True]
    assert [judged[name].step_dominated_by for name in judged] == ["dear", "", "also exact", ""]


def test_what_is_farther_than_nothing_at_all_is_dominated_by_the_zero_matrix() -> None:
    far, free, near = with_fronts([row("far", 5, 44.0), row("free", 0, 1.5), row("near", 5, 0.9)], ROUNDING)
    assert (far.front, far.dominated_by) == (False, "near")
    assert (free.front, free.dominated_by) == (False, "zero-matrix")
    assert (near.front, near.dominated_by) == (True, "")


@pytest.mark.parametrize("unknown", [row("x", None, 0.0), row("x", 1, None)])
def test_what_has_no_cost_or_no_distance_is_not_judged_and_judges_nobody(unknown: Row) -> None:
    first, second = with_fronts([unknown, row("y", 5, 0.5)], ROUNDING)
    assert (first.front, first.dominated_by) == (None, "")
    assert (second.front, second.dominated_by) == (True, "")
