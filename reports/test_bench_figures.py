"""The figures of the benchmarks show what the records say, and no label covers another."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports import roofline_figure, scaling_figure
from fishergauge.reports.label_places import spread
from fishergauge.reports.roofline_figure import Panel, chosen_panels, draw_roofline, drawable, roof
from fishergauge.reports.scaling_figure import RED, draw_scaling, label
from fishergauge.suites.benchmarks.limits import Limits
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.scaling import ScalingRow

LIMITS = Limits(1e11, 1e10, "float64", "cpu", 2)
RECORD = BenchRecord(
    "fishergauge",
    "ggn",
    "dense",
    "mlp-large",
    "float64",
    "cpu",
    median_seconds=0.5,
    flops=20_000_000_000,
    limit_flops=2e10,
    limit_bytes=2e8,
    limit_seconds=0.2,
    verified=True,
)
ROW = ScalingRow(
    "fishergauge", "ggn", "dense", "mlp", "N", "flops", "P = 3", (1, 2, 4, 8), (5.0, 10.0, 20.0, 40.0), 1.0, 1.01, "N P²", False
)


def panel(records: Sequence[BenchRecord]) -> Any:
    return roofline_figure.made_figure([(Panel("ggn", "dense", "mlp-large"), records)], LIMITS).axes[0]


def texts(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_a_point_is_operations_over_time_against_operations_over_bytes() -> None:
    axis = panel([RECORD])
    (point,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (100.0, 4e10)


def test_the_star_stands_on_the_roof_at_the_least_operations() -> None:
    (star,) = [line for line in panel([RECORD]).lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (100.0, 1e11)


@pytest.mark.parametrize(("intensity", "rate"), [(1.0, 1e10), (10.0, 1e11), (1000.0, 1e11)])
def test_the_roof_is_the_bandwidth_below_the_ridge_and_the_rate_of_products_above(intensity: float, rate: float) -> None:
    assert roof(intensity, LIMITS) == rate


def test_the_legend_is_in_order_of_time_with_the_share_of_the_limit() -> None:
    slow = replace(RECORD, implementation="backpack", median_seconds=4.0)
    found = texts(panel([slow, RECORD]))
    assert found == ["limit: 200 ms", "fishergauge\n500 ms, 40 %", "backpack\n4 s, 5 %"]


def test_what_counts_no_products_or_was_not_compared_is_named() -> None:
    found = texts(panel([replace(RECORD, flops=0, verified=None), replace(RECORD, implementation="other")]))
    assert found[1].endswith("no products counted: no point\nnot verified") or found[2].endswith("\nnot verified")


@pytest.mark.parametrize(
    "change",
    [{"verified": False}, {"median_seconds": None}, {"dtype": "float32"}, {"device": "cuda"}, {"limit_bytes": None}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_wrong_untimed_of_another_machine_or_without_limit_is_not_drawn(change: dict[str, Any], tmp_path: Path) -> None:
    record = replace(RECORD, **change)
    assert not drawable(record, LIMITS)
    assert draw_roofline([record], LIMITS, [tmp_path / "roofline.png"]) == []
    assert not (tmp_path / "roofline.png").exists()


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_no_empty_panel_is_shown(count: int) -> None:
    figure = roofline_figure.made_figure([(Panel("ggn", "dense", f"mlp-{i}"), [RECORD]) for i in range(count)], LIMITS)
    assert [axis.axison for axis in figure.axes] == [True] * count + [False] * (-count % min(count, 2))


def test_two_variants_of_a_library_share_a_colour_and_differ_in_filling() -> None:
    names = ["curvlinops", "curvlinops:make_fx", "backpack"]
    styles = [roofline_figure._style(name, names) for name in names]
    assert styles[0]["color"] == styles[1]["color"] != styles[2]["color"]
    assert styles[0]["fillstyle"] != styles[1]["fillstyle"]
    assert styles[0]["marker"] == styles[1]["marker"] != styles[2]["marker"]


def test_the_panels_are_the_tasks_with_targets_on_the_largest_problem_measured() -> None:
    records = [replace(RECORD, problem=problem) for problem in ("mlp-small", "mlp-large", "mlp-medium")]
    records += [replace(RECORD, quantity="hessian", implementation=name) for name in ("fishergauge", "backpack")]
    records += [replace(RECORD, quantity="shampoo")]
    assert chosen_panels(records) == [Panel("ggn", "dense", "mlp-large"), Panel("hessian", "dense", "mlp-large")]


def scaling_rows() -> list[ScalingRow]:
    many = [replace(ROW, operation=o, quantity=q) for o in ("dense", "product", "solve") for q in ("ggn", "kfac", "hessian")]
    wrong = replace(ROW, axis="C", exponent=1.0, theory=0.0, wrong=True)
    return [*many, wrong, replace(ROW, measure="bytes"), replace(ROW, axis="P", family="softmax")]


def test_each_measure_and_axis_has_a_panel_and_every_row_a_line_and_a_label() -> None:
    rows = [row for row in scaling_rows() if row.family == "mlp"]
    figure = scaling_figure.made_figure(rows, "mlp")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert [title[:3] for title in titles] == ["(a)", "(b)", "(c)"]
    assert len(figure.axes[0].texts) == 9
    assert "1.00 (1.01)  kfac product" in [text.get_text() for text in figure.axes[0].texts]


def test_labels_of_lines_that_end_at_one_point_do_not_cover_each_other() -> None:
    figure = scaling_figure.made_figure(scaling_rows()[:9], "mlp")
    figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in pairwise(boxes))


def test_labels_stay_in_the_cell_of_their_panel() -> None:
    longest = replace(ROW, implementation="backpack", quantity="empirical-fisher", exponent=-0.01, theory=-0.01)
    rows = [replace(longest, axis=axis, measure=m) for axis in "NPC" for m in ("flops", "bytes")]
    figure = scaling_figure.made_figure(rows, "mlp")
    figure.canvas.draw()
    for place, axis in enumerate(figure.axes):
        (text,) = axis.texts
        assert text.get_window_extent().x1 <= figure.bbox.x1 * (place % 3 + 1) / 3


def test_a_leader_starts_at_the_end_of_its_line() -> None:
    axis = scaling_figure.made_figure([ROW], "mlp").axes[0]
    leader = axis.transAxes.transform((axis.lines[1].get_xdata()[0], axis.lines[1].get_ydata()[0]))
    assert leader == pytest.approx(axis.transData.transform((8, 40.0)), abs=0.5)


def test_what_contradicts_theory_is_red() -> None:
    axis = scaling_figure.made_figure([replace(ROW, wrong=True)], "mlp").axes[0]
    assert axis.lines[0].get_color() == RED == axis.texts[0].get_color()
    assert scaling_figure.made_figure([ROW], "mlp").axes[0].lines[0].get_color() != RED


def test_a_label_has_both_exponents_and_the_name_of_another_implementation() -> None:
    assert label(ROW) == "1.00 (1.01)  ggn dense"
    assert label(replace(ROW, implementation="backpack", theory=None, exponent=-0.001)) == "0.00  backpack ggn dense"
    assert label(replace(ROW, implementation="fishergauge:type2")) == "1.00 (1.01)  type2 ggn dense"


def test_files_are_written_and_none_where_there_is_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / "figure.png", tmp_path / "figure.pdf"]
    assert draw_scaling(scaling_rows(), paths) == paths
    assert draw_roofline([RECORD], LIMITS, paths) == paths
    assert all(path.stat().st_size > 1000 for path in paths)
    assert draw_scaling([], paths) == [] == draw_scaling([ROW], paths, "softmax")
    assert draw_scaling([replace(ROW, costs=(0.0,) * 4)], paths) == []


@pytest.mark.parametrize("wanted", [[0.5] * 5, [0.0, 0.0, 1.0], [0.9, 0.1, 0.12, 0.11], [1.0, 1.0, 1.0], []])
def test_labels_are_spread_in_their_order_and_within_the_column(wanted: list[float]) -> None:
    found = spread(wanted, 0.1, 0.0, 1.0)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    assert all(found[b] - found[a] >= 0.1 - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in found)


def test_labels_that_do_not_collide_stay_and_the_others_move_about_their_mean() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1, 0.0, 1.0) == [0.1, 0.5, 0.9]
    assert spread([0.4, 0.44], 0.1, 0.0, 1.0) == pytest.approx([0.37, 0.47])
    assert math.isclose(spread([0.5] * 21, 0.1, 0.0, 1.0)[-1], 1.0)
