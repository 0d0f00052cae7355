"""The figure of the libraries: the worst status decides, in colour and in a mark."""

from pathlib import Path

import pytest

from fishergauge.reports.extras import require
from fishergauge.reports.peers_figure import COLOURS, MARKS, ORDER, STYLE, WRONG, draw_peers, made_figure, worst
from fishergauge.suites.peers.judgement import STATUSES, Cell, Status
from fishergauge.suites.peers.judgement import WRONG as CONTRADICTING
from fishergauge.suites.record import Record
from fishergauge.suites.zoo import CATALOGUE

pytest.importorskip("matplotlib")


def cell(status: Status, claim: str = "T1", problem: str = "mlp-tanh-softmax", subject: str = "lib/fisher") -> Cell:
    return Cell(Record(subject, claim, problem), status)


def colours(figure: object) -> list[list[str]]:
    """The colours of the cells, panel by panel."""
    from matplotlib.colors import to_hex

    return [[to_hex(patch.get_facecolor()) for patch in axes.patches] for axes in figure.axes]  # type: ignore[attr-defined]


@pytest.mark.parametrize("better", range(len(ORDER) - 1))
def test_the_worst_status_of_a_claim_is_shown(better: int) -> None:
    pair = (ORDER[better], ORDER[better + 1])
    for first, second in (pair, pair[::-1]):
        cells = [cell(first), cell(second, problem="cnn")]  # type: ignore[arg-type]
        assert worst(cells, lambda one: one.record.claim) == {"lib/fisher": {"T1": ORDER[better]}}


def test_what_is_measured_for_information_is_not_shown() -> None:
    assert worst([cell("not-claimed")], lambda one: one.record.claim) == {}


def test_every_status_has_a_colour_and_all_but_one_a_mark() -> None:
    shown = set(STATUSES) - {"not-claimed"}
    assert set(COLOURS) == shown
    assert set(ORDER) == shown
    assert shown - set(MARKS) == {"holds"}
    assert {status for status, colour in COLOURS.items() if colour == WRONG} == CONTRADICTING


def test_claims_and_problems_have_a_panel_each() -> None:
    cells = [
        cell("holds"),
        cell("expected", problem="cnn"),
        cell("unsupported", claim="T2"),
        cell("holds", subject="other/fisher"),
    ]
    figure = made_figure(cells)
    assert figure is not None
    claims, problems = colours(figure)
    assert sorted(claims) == sorted([COLOURS["expected"], COLOURS["unsupported"], COLOURS["holds"]])
    assert sorted(problems) == sorted([COLOURS["holds"], COLOURS["expected"], COLOURS["holds"]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["lib/fisher", "other/fisher"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["T1", "T2"]


def test_no_label_lies_outside_the_figure() -> None:
    long = max(CATALOGUE, key=len)
    with require("matplotlib").rc_context(STYLE):
        figure = made_figure(
            [cell("holds", "T20-coordinates", long, "laplace-torch/last-layer-full-curvlinops-ggn-regression")]
        )
        assert figure is not None
        figure.canvas.draw()
    wide, high = figure.canvas.get_width_height()
    for axes in figure.axes:
        for text in [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]:
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.y1 <= high, text
            assert box.x1 <= wide, text


def test_the_files_are_written_whole_and_are_the_same_again(tmp_path: Path) -> None:
    paths = [tmp_path / "peers.png", tmp_path / "peers.pdf"]
    assert draw_peers([cell("holds")], paths) == paths
    before = [path.read_bytes() for path in paths]
    draw_peers([cell("holds")], paths)
    assert [path.read_bytes() for path in paths] == before
    assert draw_peers([cell("not-claimed")], [tmp_path / "nothing.png"]) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peers.pdf", "peers.png"]
