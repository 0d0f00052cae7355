"""The summary of ``fishergauge peers``: libraries times claims, with the share of checks that are red."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import write_figure
from fishergauge.reports.panels import CHALK, INK
from fishergauge.reports.peers_figure import HOLDS, REFUSED
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.judgement import Cell

STYLE = {"font.size": 8, "axes.linewidth": 0.4, "pdf.fonttype": 42}
COLUMN, ROW = 0.2, 0.2  # inches
LEFT, TOP, BOTTOM, RIGHT = 1.25, 1.45, 0.32, 0.1
SHADES = ((0.0, "#fbe3b9"), (0.1, "#f7b955"), (0.4, "#d9791c"), (0.8, "#a3440f"))
"""Colours from these shares of red checks on; text is white on the last."""


def draw_summary(cells: Sequence[Cell], paths: Sequence[Path]) -> list[Path]:
    """Draw for each library and claim how many per cent of the executed checks are red.

    Args:
        cells: of a run.
        paths: files to write; their suffix says the format.

    Returns:
        The paths; none if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return write_figure(lambda: summary_figure(cells), STYLE, paths, dpi=200)


def shares(cells: Sequence[Cell]) -> dict[str, dict[str, float | None]]:
    """The share of red checks by library and claim; None where the library refuses all of them."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for cell in cells:
        if cell.status not in ("not-claimed", "vanished"):
            kind = "refused" if cell.status == "unsupported" else "red" if cell.record.red else "holds"
            found[cell.record.subject.partition("/")[0]][cell.record.claim][kind] += 1
    return {library: {claim: _share(counter) for claim, counter in claims.items()} for library, claims in found.items()}


def _share(counter: Mapping[str, int]) -> float | None:
    executed = counter.get("red", 0) + counter.get("holds", 0)
    return counter.get("red", 0) / executed if executed else None


def summary_figure(cells: Sequence[Cell]) -> Any:
    """The figure of :func:`draw_summary`, in the style that is set; None if there is nothing to draw."""
    rows = shares(cells)
    claims = [claim for claim in CLAIMS if any(claim in row for row in rows.values())]
    if not claims:
        return None
    wide, high = LEFT + len(claims) * COLUMN + RIGHT, TOP + len(rows) * ROW + BOTTOM
    figure = require("matplotlib.figure").Figure(figsize=(wide, high))
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.add_axes((LEFT / wide, BOTTOM / high, len(claims) * COLUMN / wide, len(rows) * ROW / high))
    rectangle = require("matplotlib.patches").Rectangle
    for y, row in enumerate(rows.values()):
        for x, claim in enumerate(claims):
            if claim in row:
                colour, ink, text = _look(row[claim])
                axes.add_patch(rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, linewidth=0))
                axes.text(x, y + 0.03, text, ha="center", va="center", color=ink, fontsize=6.5)
    axes.set_xlim(-0.55, len(claims) - 0.45)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(claims)), claims, rotation=90)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    said = "number: per cent of the executed checks that are red;  blue: all hold;  dash: the library refuses all of them"
    figure.text(0.1 / wide, 0.12 / high, said, fontsize=8)
    return figure


def _look(share: float | None) -> tuple[str, str, str]:
    """Colour, ink and text of a cell."""
    if share is None:
        return REFUSED, "black", "–"  # noqa: RUF001
    if share == 0:
        return HOLDS, CHALK, ""
    colour = [colour for least, colour in SHADES if share >= least][-1]
    text = "<1" if share < 0.005 else f"{100 * share:.0f}"
    return colour, CHALK if colour == SHADES[-1][1] else INK, text
