"""Colours of a figure that stands in a page: ink and paper are those of the page, in light and in dark."""

import re

INK, PAPER = "currentColor", "var(--paper,Canvas)"
_HEX = re.compile("#[0-9a-f]{6}")
_NEARLY = {"#010101": "#000", "#fefefe": "#fff"}
"""Black and white that lie on a coloured field, and so are the same in light and dark; see ``reports/panels.py``."""


def on_page(colour: str) -> tuple[str, float] | None:
    """A colour of a figure as the page shows it.

    Black is the ink of the page, white its paper, and a grey is thinned ink. Other colours stay.

    Args:
        colour: ``none``, or red, green and blue in six hexadecimal digits.

    Returns:
        The colour and a factor of its opacity; None if it is no colour.

    Example:
        >>> on_page("#000000"), on_page("#0072b2"), on_page("url(https://example.org)")
        (('currentColor', 1.0), ('#0072b2', 1.0), None)
    """
    name = colour.strip().lower()
    if name == "none":
        return "none", 1.0
    if not _HEX.fullmatch(name):
        return None
    if name == "#ffffff":
        return PAPER, 1.0
    if name in _NEARLY:
        return _NEARLY[name], 1.0
    parts = [int(name[i : i + 2], 16) for i in (1, 3, 5)]
    if max(parts) - min(parts) <= 8:
        return INK, round(1 - sum(parts) / 765, 2)
    return name, 1.0
