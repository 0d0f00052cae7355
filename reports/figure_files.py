"""Writing a figure: made in its own style, and each file whole or not at all."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require

KINDS = ("png", "pdf", "svg")
"""The formats of a figure: to look at, to print, and to stand in a page."""

UNDATED: Mapping[str, Mapping[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""Metadata by format, so that the same figure is the same file."""

SVG: Mapping[str, str] = {"svg.fonttype": "none", "svg.hashsalt": "fishergauge"}
"""Text stays text, and identifiers are those of the last time."""

UNARRANGED: Mapping[str, bool] = {"figure.autolayout": False, "figure.constrained_layout.use": False}
"""A figure whose engine of layout is taken away gets none from its style."""


def figure_paths(stem: Path, kinds: Sequence[str] = KINDS) -> list[Path]:
    """The files of a figure.

    Args:
        stem: path without a suffix.
        kinds: the formats.

    Returns:
        A path for each format.

    Example:
        >>> [path.name for path in figure_paths(Path("E1_figure"))]
        ['E1_figure.png', 'E1_figure.pdf', 'E1_figure.svg']
    """
    return [stem.with_name(f"{stem.name}.{kind}") for kind in kinds]


def write_figure(make: Callable[[], Any], style: Mapping[str, Any], paths: Sequence[Path], dpi: int) -> list[Path]:
    """Make a figure in a style and write it.

    Args:
        make: the figure, or None if there is nothing to draw.
        style: settings of matplotlib while it is made and written.
        paths: files to write; their suffix says the format.
        dpi: of pixel formats.

    Returns:
        The paths; none if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with require("matplotlib").rc_context(dict(style)):
        figure = make()
        return [] if figure is None else save_figure(figure, paths, dpi)


def save_figure(figure: Any, paths: Sequence[Path], dpi: int) -> list[Path]:
    """Write a figure in the style that is set. The same figure gives the same bytes.

    Args:
        figure: of matplotlib; it is arranged for the first file, and stays so.
        paths: files to write; their suffix says the format.
        dpi: of pixel formats.

    Returns:
        The paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with require("matplotlib").rc_context({**SVG, **UNARRANGED}):
        for path in paths:
            _write(figure, path, dpi)
            figure.set_layout_engine(None)  # to arrange takes as long as to draw
    return list(paths)


def _write(figure: Any, path: Path, dpi: int) -> None:
    """Write the file under another name first, so that no reader sees a part of it."""
    kind = path.suffix.removeprefix(".")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, dpi=dpi, format=kind, metadata=UNDATED.get(kind))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
