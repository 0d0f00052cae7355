"""The summary of the libraries: shares of red checks, and what is refused."""

from pathlib import Path

import pytest

from fishergauge.reports.extras import require
from fishergauge.reports.peers_figure import HOLDS, REFUSED
from fishergauge.reports.peers_summary_figure import SHADES, STYLE, draw_summary, shares, summary_figure
from fishergauge.suites.peers.judgement import Cell, Status
from fishergauge.suites.record import Record, Verdict

pytest.importorskip("matplotlib")


def cells(subject: str, claim: str, *pairs: tuple[Status, Verdict]) -> list[Cell]:
    return [Cell(Record(subject, claim, f"p{n}", verdict=verdict), status) for n, (status, verdict) in enumerate(pairs)]


HELD: tuple[Status, Verdict] = ("holds", "holds")
KNOWN: tuple[Status, Verdict] = ("expected", "violated")
CRASHED: tuple[Status, Verdict] = ("new", "error")
GONE: tuple[Status, Verdict] = ("unsupported", "unsupported")
MADE = [
    *cells("a/fisher", "T1", HELD, KNOWN, GONE),
    *cells("a/diagonal", "T1", CRASHED, HELD, ("not-claimed", "not-claimed")),
    *cells("a/fisher", "T2", HELD, ("mended", "holds"), ("vanished", "not-claimed")),
    *cells("b/fisher", "T1", GONE, GONE),
]


def test_the_share_is_that_of_executed_checks_of_all_quantities() -> None:
    assert shares(MADE) == {"a": {"T1": 0.5, "T2": 0.0}, "b": {"T1": None}}


def test_the_share_is_drawn_as_a_number_and_a_colour() -> None:
    from matplotlib.colors import to_hex

    with require("matplotlib").rc_context(STYLE):
        figure = summary_figure(MADE)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["50", "", "–"]  # noqa: RUF001
    assert [to_hex(patch.get_facecolor()) for patch in axes.patches] == [SHADES[2][1], HOLDS, REFUSED]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_one_red_check_among_many_is_not_drawn_as_none() -> None:
    with require("matplotlib").rc_context(STYLE):
        figure = summary_figure(cells("a/fisher", "T1", KNOWN, *[HELD] * 300))
    assert [text.get_text() for text in figure.axes[0].texts] == ["<1"]


def test_the_file_is_the_same_again_and_none_is_written_of_nothing(tmp_path: Path) -> None:
    (path,) = draw_summary(MADE, [tmp_path / "summary.png"])
    before = path.read_bytes()
    draw_summary(MADE, [path])
    assert path.read_bytes() == before
    assert draw_summary(cells("a/fisher", "T1", ("not-claimed", "not-claimed")), [tmp_path / "nothing.png"]) == []
