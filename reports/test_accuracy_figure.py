"""The figure of accuracy against cost: what is drawn, and that labels do not cover each other."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from fishergauge.reports.accuracy_figure import draw_accuracy, made_figure, merged, power_of_ten, shortened
from fishergauge.reports.accuracy_front import with_fronts
from fishergauge.reports.accuracy_row import Row

pytest.importorskip("matplotlib")


def rows(problem: str = "p") -> list[Row]:
    kinds = ("whole", "blocks", "kronecker", "diagonal", "low-rank", "drawn", "observed", "subject")
    made = [
        Row(problem, f"a{n}", f"approximation {n}", kinds[n % 8], flops=10 ** (3 + n // 4), distance=0.9 / (1 + n), exact=False)
        for n in range(16)
    ]
    made.append(Row(problem, "exact", "exact", "whole", flops=10**7, distance=1e-16, exact=True))
    made.append(Row(problem, "twin", "twin", "blocks", flops=10**7, distance=0.0, exact=True))
    made.append(Row(problem, "refused", "refused", "kronecker", outcome="refused", reason="no"))
    return with_fronts(made, 1e-12)


def test_a_panel_for_each_problem_with_labels_that_do_not_cover_each_other() -> None:
    figure = made_figure([*rows("one"), *rows("two"), *rows("three")])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two", "three"]
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        texts = [text for text in axes.texts if text.get_text().startswith(("approximation", "exact (+"))]
        assert "exact (+ 1 alike)" in [text.get_text() for text in texts]
        assert len(texts) >= 10
        boxes = [text.get_window_extent(renderer) for text in texts]
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_every_measured_row_has_its_marker_filled_on_the_front_and_hollow_elsewhere() -> None:
    found = rows()
    (axes,) = made_figure(found).axes
    markers = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert len(markers) == sum(row.front is not None for row in found) == 18
    filled = [line for line in markers if line.get_markerfacecolor() != "none"]
    assert len(filled) == sum(row.front is True for row in found)


def test_the_front_is_a_staircase_that_falls() -> None:
    (axes,) = made_figure(rows()).axes
    stairs = max(
        (line for line in axes.lines if line.get_marker() in ("None", None, "")), key=lambda line: len(line.get_xdata())
    )
    x, y = list(stairs.get_xdata()), list(stairs.get_ydata())
    assert x == sorted(x)
    assert y == sorted(y, reverse=True)
    assert all(a == c or b == d for a, b, c, d in zip(x, y, x[1:], y[1:]))  # noqa: B905


def test_exact_ones_and_those_without_a_counted_operation_stand_on_marked_lines() -> None:
    free = Row("p", "free", "free", "subject", flops=0, distance=0.5, exact=False)
    (axes,) = made_figure(with_fronts([free, *rows()], 1e-12)).axes
    assert {"exact", "none counted"} <= {text.get_text() for text in axes.texts}


def test_nothing_measured_is_nothing_drawn(tmp_path: Path) -> None:
    refused = [replace(row, outcome="refused", front=None) for row in rows()]
    assert draw_accuracy(refused, [tmp_path / "a.svg"]) == []
    assert list(tmp_path.iterdir()) == []


def test_the_same_rows_give_the_same_file_with_text_as_text(tmp_path: Path) -> None:
    hostile = Row("p", "x", "<script>$a_b^$ & more", "subject", flops=50, distance=0.5, exact=False)
    found = with_fronts([hostile, *rows()], 1e-12)
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    draw_accuracy(found, [first])
    draw_accuracy(found, [second])
    text = first.read_text()
    assert text == second.read_text()
    assert "&lt;script&gt;$a_b^$ &amp; more</text>" in text
    assert "<script" not in text


def test_those_at_one_point_share_a_label_but_for_subjects() -> None:
    one = Row("p", "a", "A", "whole", flops=5, distance=0.25, exact=False)
    pairs = merged([one, replace(one, approximation="b", label="B"), replace(one, kind="subject", label="mine")])
    assert [label for _, label in pairs] == ["A (+ 1 alike)", "mine"]


def test_texts_are_short_and_plain() -> None:
    assert shortened("x" * 100) == "x" * 25 + "..."
    assert shortened("a\nb  c") == "a b c"
    assert [power_of_ten(10.0**n) for n in (-4, -1, 0, 3, 4, 12)] == ["10⁻⁴", "0.1", "1", "1000", "10⁴", "10¹²"]
