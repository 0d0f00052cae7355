"""The figure shows what the rows say, and nothing of it is clipped."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reference import FAMILIES
from fishergauge.reports import spectrum_figure
from fishergauge.reports.extras import MissingExtraError, require
from fishergauge.reports.panels import CHALK, INK
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
    hidden: dict[tuple[str, str], dict[str, Any]] = {
        ("adam", "sinh"): {"verdict": "not-claimed"},
        ("adam", "dense"): {"verdict": "not-claimed", "promised": False},
    }
    rows = [replace(one, **hidden.get((one.approximation, one.family), {})) for one in rows]
    lost = row(model="softmax-reduced", data="breast-cancer", kappa=1e9, verdict="not-claimed", bound=None)
    return [*rows, lost, row(verdict="violated"), replace(lost, kappa=100.0, verdict="violated", measured=1e-3, bound=1e-9)]


def figure_of(rows: Sequence[Row]) -> Any:
    with require("matplotlib").rc_context(spectrum_figure.STYLE):
        return made_figure(rows, list(FAMILIES), LABELS)


def patches(figure: Any, hatch: bool = False, face: str = RED) -> list[Any]:
    found = figure.axes[0].patches
    if hatch:
        return [patch for patch in found if patch.get_hatch()]
    return [patch for patch in found if patch.get_facecolor() == require("matplotlib.colors").to_rgba(face)]


def places(figure: Any, marker: Any) -> list[tuple[float, float]]:
    """Columns and rows of the matrix with a mark."""
    return [
        (float(one.get_xdata()[0]), float(one.get_ydata()[0])) for one in figure.axes[0].lines if one.get_marker() == marker
    ]


def texts(rows: Sequence[Row]) -> list[list[str]]:
    """The legends of the matrix and of the lines."""
    made = [[text.get_text() for text in legend.get_texts()] for legend in figure_of(rows).legends]
    return made if len(made) == 2 else [*made, []]


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
    assert [line.get_markerfacecolor() for line in dots(figure)] == [CHALK, INK, "none"]
    (frame,) = patches(figure)
    assert frame.get_x() + 0.5 == 2
    assert places(figure, "x") == [(2, 0)]
    (hatched,) = patches(figure, hatch=True)
    assert hatched.get_x() + 0.5 == 3
    values = axes.images[0].get_array()
    assert [round(float(value)) for value in values[0, :3]] == [-12, 0, -1]
    assert values.mask[0].tolist() == [False, False, False, True, False]
    assert values.mask[1].tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("bound", [0.5, None])
def test_what_is_not_decidable_looks_like_nothing_else(bound: float | None) -> None:
    hidden = row(family="diagonal", verdict="not-claimed", measured=0.5, bound=bound)
    figure = figure_of([BASE, hidden, replace(hidden, family="dense", predicted="not invariant"), row(family="exp", kappa=1.0)])
    assert [(patch.get_x() + 0.5, patch.get_hatch()) for patch in patches(figure, face="#e4e4e4")] == [(1, None), (2, None)]
    assert places(figure, "$?$") == [(1, 0), (2, 0)]
    assert [float(line.get_xdata()[0]) for line in dots(figure)] == [0, 3]
    assert figure.axes[0].images[0].get_array().mask[0].tolist() == [False, True, True, False]
    assert patches(figure) == patches(figure, hatch=True) == []
    assert places(figure_of([hidden, replace(hidden, kappa=1e3, verdict="violated")]), "$?$") == []


def test_what_is_not_promised_has_a_mark_of_its_own() -> None:
    free = row(approximation="mine", verdict="not-claimed", predicted="unknown", promised=False, measured=0.5)
    figure = figure_of([BASE, free])
    assert places(figure, (6, 2, 0)) == [(0, 1)]
    assert float(figure.axes[0].images[0].get_array()[1, 0]) == pytest.approx(-0.301, abs=0.001)


def test_marks_are_explained_only_where_there_are_some() -> None:
    always = ["predicted invariant", "to first order", "unsupported", "no map"]
    assert texts([BASE])[0] == always
    assert texts([BASE])[1][1:] == ["rounding bound"]
    for verdict in ("violated", "unexpected"):
        assert [legend[-1] for legend in texts([row(verdict=verdict)])] == ["contradicted"] * 2
    hidden = row(kappa=1e3, verdict="not-claimed", bound=None)
    assert texts([BASE, hidden])[0] == always
    assert texts([BASE, hidden])[1][-1] == "not decidable"
    assert "not decidable" in texts([replace(hidden, kappa=100.0)])[0]
    free = row(approximation="mine", verdict="not-claimed", predicted="unknown", promised=False)
    assert "nothing promised" in texts([BASE, free])[0]


def test_colours_and_heights_span_what_a_precision_can_show() -> None:
    for dtype, lowest, floor in (("float64", -16, 1e-17), ("float32", -8, 1e-9)):
        figure = figure_of([row(dtype=dtype)])
        assert figure.axes[0].images[0].get_clim() == (lowest, 0)
        assert figure.axes[2].get_ylim()[0] == floor
    assert figure_of([BASE, row(dtype="float32")]).axes[3].get_ylim()[0] == 1e-17


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
    assert lines[:3] == [("-", "None", list(pair)) for pair in pairwise(measured)]
    assert [line.get_linewidth() for line in axes.lines[:3]] == [0.9, 0.9, 0.35]
    assert lines[3:5] == [("None", "o", measured[:3]), ("None", "x", measured[3:])]
    assert lines[5] == ("--", "None", [1e-11, 1e-10, 1e-9])
    assert lines[6][2] == [1e-14, 1e-13, 0.25, 0.5]


@pytest.mark.parametrize("verdict", ["violated", "unexpected"])
def test_what_is_contradicted_is_red_in_the_lines(verdict: Any) -> None:
    rows = [
        row(kappa=10.0),
        row(kappa=100.0, verdict=verdict, measured=0.25),
        row(kappa=1e3, verdict="not-claimed", bound=None),
    ]
    axes = figure_of(rows).axes[2]
    (red,) = [line for line in axes.lines if line.get_marker() == "X"]
    assert red.get_markerfacecolor() == RED
    assert [float(x) for x in red.get_xdata()] == [100.0]
    assert red.get_markersize() > 2 * max(line.get_markersize() for line in axes.lines if line.get_marker() in ("o", "x"))
    assert red.get_zorder() == max(line.get_zorder() for line in axes.lines)
    assert [[float(x) for x in line.get_xdata()] for line in axes.lines if line.get_marker() == "x"] == [[1e3]]


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
    assert [len(legend.get_texts()) for legend in figure.legends] == [7, 10]
    assert not one.overlaps(other)
    assert not any(legend.overlaps(boxes[id(text)]) for legend in (one, other) for text in texts if id(text) in boxes)


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
