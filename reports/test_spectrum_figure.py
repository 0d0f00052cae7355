"""The figure shows what the rows say, and nothing of it is clipped."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reference import FAMILIES
from fishergauge.reports import spectrum_figure
from fishergauge.reports.extras import MissingExtraError, require
from fishergauge.reports.spectrum_figure import KINDS, RED, draw_spectrum, made_figure, shown_model
from fishergauge.reports.spectrum_lines import line_families, line_model
from fishergauge.suites.spectrum.approximations import approximations
from fishergauge.suites.spectrum.row import Row

BASE = Row(
    "exact-fisher", "mlp", "synthetic", "float64", "scaling", 100.0, "outputs", "invariant", "T13", "holds", 1e-12, 1e-9, "", 20
)
LABELS = {name: one.label for name, one in approximations().items()}


def row(**changes: Any) -> Row:
    return replace(BASE, **changes)


def everything() -> list[Row]:
    """A row for each approximation, family, condition number and precision, as large as a spectrum gets."""
    rows = []
    for name in [*LABELS, "a-subject-with-a-name"]:
        for family, kind in FAMILIES.items():
            for kappa in (10.0, 100.0, 1e6, 1e12) if kind.conditioned else (1.0,):
                one = row(approximation=name, family=family, kappa=kappa, measured=kappa * 1e-15, bound=kappa * 1e-12, cut=0.5)
                rows += [one, replace(one, model="softmax-reduced", data="breast-cancer", dtype="float32")]
                rows += [replace(one, model="softmax-reduced", data="breast-cancer")]
    return [*rows, row(verdict="violated")]


def figure_of(rows: Sequence[Row]) -> Any:
    with require("matplotlib").rc_context(spectrum_figure.STYLE):
        return made_figure(rows, list(FAMILIES), LABELS)


def patches(figure: Any, **wanted: Any) -> list[Any]:
    found = figure.axes[0].patches
    if "hatch" in wanted:
        return [patch for patch in found if patch.get_hatch()]
    return [patch for patch in found if patch.get_edgecolor() == require("matplotlib.colors").to_rgba(RED)]


def dots(figure: Any) -> list[Any]:
    return [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_marks_of_the_matrix() -> None:
    rows = [
        BASE,
        row(family="sinh", kappa=1.0, predicted="first order"),
        row(family="kronecker", predicted="not invariant", measured=0.5),
        row(family="dense", verdict="unsupported", measured=None, bound=None, predicted="unknown"),
        row(family="diagonal", verdict="violated", measured=0.1),
        row(approximation="gradient", predicted="not invariant", measured=3.0),
    ]
    figure = figure_of(rows)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["scaling", "kronecker", "diagonal", "dense", "sinh"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["exact Fisher", "identity (plain gradient)"]
    assert [float(line.get_xdata()[0]) for line in dots(figure)] == [0, 2, 4]
    assert [line.get_markerfacecolor() for line in dots(figure)] == ["white", "black", "none"]
    (frame,) = patches(figure)
    assert round(frame.get_x() + 0.42, 6) == 2
    (hatched,) = patches(figure, hatch=True)
    assert hatched.get_x() + 0.5 == 3
    values = axes.images[0].get_array()
    assert [round(float(value)) for value in values[0, :3]] == [-12, 0, -1]
    assert values.mask[0].tolist() == [False, False, False, True, False]
    assert values.mask[1].tolist() == [False, True, True, True, True]


def test_red_is_explained_only_where_there_is_some() -> None:
    def texts(rows: Sequence[Row]) -> list[str]:
        return [text.get_text() for legend in figure_of(rows).legends for text in legend.get_texts()]

    assert "contradicted" not in texts([BASE])
    assert "contradicted" in texts([row(verdict="unexpected")])


def test_which_model_is_shown() -> None:
    assert shown_model([BASE, row(model="cnn")]) == "mlp"
    assert shown_model([row(model="cnn")]) == "cnn"
    assert shown_model([row(model="cnn"), row(model="softmax")]) is None
    assert "worst of the models" in figure_of([row(model="cnn"), row(model="softmax")]).axes[0].get_title("left")
    assert line_model([BASE, row(model="softmax")]) == "softmax"
    assert line_model([row(model="cnn")]) == "cnn"


def test_which_families_get_lines() -> None:
    def chosen(*names: str) -> list[str]:
        return line_families([row(family=name) for name in names])

    assert chosen("sinh", "inputs-linear", "dense", "scaling", "kronecker") == ["scaling", "kronecker"]
    assert chosen("dense", "inputs-linear") == ["inputs-linear", "dense"]
    assert chosen("sinh") == []


def test_lines_follow_the_rows_with_bound_and_cut_off() -> None:
    rows = [row(model="softmax", kappa=10.0**k, measured=10.0 ** (k - 15), bound=10.0 ** (k - 12)) for k in (1, 2, 3)]
    rows[2] = replace(rows[2], cut=0.25)
    rows.append(row(model="softmax", kappa=1e4, measured=0.5, bound=1e-13, verdict="not-claimed", rank=19))
    axes = figure_of([BASE, *rows]).axes[2]
    lines = [(line.get_linestyle(), line.get_marker(), [float(y) for y in line.get_ydata()]) for line in axes.lines]
    measured = [1e-14, 1e-13, 1e-12, 0.5]
    assert lines[0] == ("-", "None", measured)
    assert lines[1:3] == [("None", "o", measured[:3]), ("None", "o", measured[3:])]
    assert axes.lines[2].get_markerfacecolor() == "white"
    assert lines[3] == ("--", "None", [1e-11, 1e-10, 1e-9])
    assert lines[4][2] == [1e-14, 1e-13, 0.25, 0.5]


def test_what_cannot_be_drawn_on_a_logarithmic_axis_is_no_error() -> None:
    rows = [row(measured=0.0), row(kappa=1e3, measured=float("inf"), bound=float("inf")), row(kappa=1e4, measured=float("nan"))]
    figure_of(rows).canvas.draw()
    figure_of([row(family="sinh", kappa=1.0, predicted="first order")]).canvas.draw()
    figure_of([row(verdict="error", measured=None, bound=None)]).canvas.draw()


def test_nothing_is_clipped_and_no_labels_overlap() -> None:
    with require("matplotlib").rc_context(spectrum_figure.STYLE):
        figure = made_figure(everything(), list(FAMILIES), LABELS)
        figure.canvas.draw()
        whole = figure.bbox
        titles = [title for axes in figure.axes for title in [*axes.texts, axes.title, axes._left_title]]
        labels = [label for axes in figure.axes for label in axes.get_xticklabels() + axes.get_yticklabels()]
        texts = [text for text in [*figure.texts, *titles, *labels] if text.get_text() and text.get_visible()]
        boxes = {id(text): text.get_window_extent() for text in texts}
        boxes |= {id(legend): legend.get_window_extent() for legend in figure.legends}
    for box in boxes.values():
        assert box.x0 >= whole.x0
        assert box.y0 >= whole.y0
        assert box.x1 <= whole.x1
        assert box.y1 <= whole.y1
    free = [*figure.texts, *titles]
    pairs = [
        (boxes[id(one)], boxes[id(other)])
        for one in free
        for other in free
        if one is not other and {id(one), id(other)} <= set(boxes)
    ]
    assert not any(one.overlaps(other) for one, other in pairs)
    one, other = (boxes[id(legend)] for legend in figure.legends)
    assert not one.overlaps(other)


def test_every_approximation_has_a_kind() -> None:
    assert sorted(name for names in KINDS.values() for name in names) == sorted(approximations())


def test_files_are_the_same_each_time_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for _ in range(2):
        paths = draw_spectrum([BASE], ["scaling"], LABELS, [tmp_path / "a.png", tmp_path / "a.pdf"])
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")
    assert contents[0][1].startswith(b"%PDF")

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(require("matplotlib.figure").Figure, "savefig", broken)
    with pytest.raises(OSError, match="full"):
        draw_spectrum([BASE], ["scaling"], LABELS, [tmp_path / "a.png"])
    assert (tmp_path / "a.png").read_bytes() == contents[0][0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_without_matplotlib_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        draw_spectrum([BASE], ["scaling"], LABELS, [tmp_path / "a.png"])
