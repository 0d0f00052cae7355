"""Tests of :mod:`fishergauge.reports.figure_files`: the same figure is the same file, and no file is there in part."""

import re
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import KINDS, figure_paths, save_figure, write_figure

pytest.importorskip("matplotlib")


def made() -> Any:
    """Lines, marks, text and a formula."""
    figure = require("matplotlib.figure").Figure(figsize=(3, 2))
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [1, 4, 9], "o-", label="a < b & c")
    axes.set_xlabel(r"$\kappa$")
    axes.legend()
    return figure


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_figure_is_the_same_file(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.{kind}" for name in ("one", "other")]
    for path in paths:
        assert write_figure(made, {"font.size": 7}, [path], dpi=50) == [path]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("by_style", [False, True])
def test_a_figure_is_arranged_once_for_all_formats(by_style: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = require("matplotlib.layout_engine").ConstrainedLayoutEngine
    arrange, arranged = engine.execute, []
    monkeypatch.setattr(engine, "execute", lambda self, figure: arranged.append(arrange(self, figure)))

    def constrained() -> Any:
        figure = made()
        if not by_style:
            figure.set_layout_engine("constrained")
        return figure

    style = {"figure.constrained_layout.use": by_style}
    assert len(write_figure(constrained, style, figure_paths(tmp_path / "figure"), dpi=50)) == 3
    assert len(arranged) == 1


def test_text_stays_text_and_markup_in_it_is_escaped(tmp_path: Path) -> None:
    (path,) = save_figure(made(), figure_paths(tmp_path / "figure", ["svg"]), dpi=50)
    text = path.read_text(encoding="utf-8")
    assert ">a &lt; b &amp; c</text>" in text
    assert not re.search("<dc:date>", text)


def test_a_figure_that_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.svg"
    path.write_text("old")

    def broken(figure: Any, name: Path, **options: Any) -> None:
        Path(name).write_text("half")
        raise OSError("no space")

    monkeypatch.setattr(require("matplotlib.figure").Figure, "savefig", broken)
    with pytest.raises(OSError, match="no space"):
        save_figure(made(), [path], dpi=50)
    assert [one.name for one in tmp_path.iterdir()] == ["figure.svg"]
    assert path.read_text() == "old"


def test_nothing_to_draw_is_no_file(tmp_path: Path) -> None:
    assert write_figure(lambda: None, {}, figure_paths(tmp_path / "figure"), dpi=50) == []
    assert list(tmp_path.iterdir()) == []
