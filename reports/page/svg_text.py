"""Formulas in the labels of a figure: matplotlib sets each letter apart, a page sets words."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_WIDTHS = (("ijl'|.,:; ", 0.3), ("ftr()[]-", 0.38), ("mwMW\N{MINUS SIGN}=+<>", 0.87), ("ABCDGHKNOQRTUVXY", 0.73))
OVERLAP, APART = 0.3, 0.12
"""Of the size: letters that overlap by more stand above each other, and between those with a larger gap there is a space."""


class Glyph(NamedTuple):
    """A piece of text that is set by itself.

    Args:
        x, y: where it begins.
        size: of the font.
        look: other properties of the font.
        text: a letter or more.
    """

    x: float
    y: float
    size: float
    look: tuple[tuple[str, str], ...]
    text: str


def mended(glyph: Glyph, family: str) -> Glyph:
    """Signs that matplotlib takes from fonts of its own, as those that other fonts have.

    Args:
        glyph: one sign.
        family: of its font.

    Returns:
        A prime, or a root, that a font without serifs shows at the same place; other signs as they are.
    """
    if family == "cmsy10" and glyph.text == "0":
        return glyph._replace(text="\N{PRIME}", y=glyph.y + 0.59 * glyph.size, size=glyph.size / 0.7)
    if family.startswith("STIXSize") and glyph.text == "\N{SQUARE ROOT}":
        return glyph._replace(y=glyph.y + 0.35 * glyph.size, size=glyph.size * 1.75)
    return glyph


def flowing(glyphs: Sequence[Glyph]) -> tuple[list[Glyph], float]:
    """Letters joined to pieces that follow each other, in the order of reading, so that the font of the page sets them.

    Args:
        glyphs: in any order.

    Returns:
        The pieces and the width of the line; no piece where letters stand one above the other, as indices do.
    """
    ordered = sorted(glyphs, key=lambda one: one.x)
    found: list[Glyph] = []
    for before, glyph, gap in _gaps(ordered):
        if gap < -OVERLAP * glyph.size:
            return [], 0.0
        apart = before and gap > APART * glyph.size and " " not in (before.text, glyph.text)
        text = ("\N{THIN SPACE}" if apart else "") + glyph.text
        if found and _alike(found[-1], glyph):
            found[-1] = found[-1]._replace(text=found[-1].text + text)
        else:
            found.append(glyph._replace(text=text))
    return found, ordered[-1].x + _width(ordered[-1]) if ordered else 0.0


def placed(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Letters joined to pieces, each of which begins where the figure says.

    Args:
        glyphs: in any order.

    Returns:
        The pieces, from left to right.
    """
    found: list[Glyph] = []
    for before, glyph, gap in _gaps(sorted(glyphs, key=lambda one: one.x)):
        joins = before and _alike(before, glyph) and abs(gap) < OVERLAP * glyph.size
        if joins:
            found[-1] = found[-1]._replace(text=found[-1].text + glyph.text)
        else:
            found.append(glyph)
    return [one for one in found if one.text.strip()]


def _gaps(ordered: Sequence[Glyph]) -> Iterator[tuple[Glyph | None, Glyph, float]]:
    """Each letter with the one before it, and what is between them."""
    for before, glyph in zip([None, *ordered], ordered, strict=False):
        yield before, glyph, glyph.x - before.x - _width(before) if before else 0.0


def _alike(one: Glyph, other: Glyph) -> bool:
    return (one.y, one.size, one.look) == (other.y, other.size, other.look)


def _width(glyph: Glyph) -> float:
    """Of a letter in matplotlib's font, roughly."""
    return glyph.size * next((width for letters, width in _WIDTHS if glyph.text in letters), 0.62)
