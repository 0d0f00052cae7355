"""A badge: the verdict of a report as a small image, made here and not by a service."""

from html import escape
from pathlib import Path

from fishergauge.reports.page.difference_data import integer, mappings, text
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.matrix import OWN
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.wording import plural

NAME = "badge.svg"
LABEL = "fishergauge"
SIZE = 11
PADDING = 6
HEIGHT = 20
GREY, GREEN, AMBER, RED = "#444444", "#1b6e3a", "#7a5200", "#a4161a"
"""Behind white text, each with a contrast of at least 4.5."""
_WIDTHS = {
    0.278: "ijl",
    0.318: " ,.",
    0.337: ":",
    0.352: "f",
    0.392: "t",
    0.411: "r",
    0.521: "s",
    0.525: "z",
    0.550: "c",
    0.579: "k",
    0.592: "vxy",
    0.612: "o",
    0.613: "a",
    0.615: "e",
    0.634: "hnu",
    0.635: "bdgpq",
    0.636: "0123456789",
    0.818: "w",
    0.838: "✓✗",
    0.873: "◐",
    0.974: "m",
}
"""Widths of characters of DejaVu Sans in units of its size; a badge says no others. Verdana is as wide, and browsers fit
any other font into the same length (``textLength``). A table, as matplotlib, which could measure, is not always there."""
_OF = {character: width for width, characters in _WIDTHS.items() for character in characters}


def badge(document: Document) -> str:
    """The verdict of a report as an SVG image.

    Args:
        document: the report.

    Returns:
        The text of the file. What it says is in its title and label for people who do not see it; glyph and words say the same
        as the colour.
    """
    glyph, said, colour = verdict(document)
    right = f"{glyph} {said}"
    left_length, right_length = width(LABEL), width(right)
    left, total = left_length + 2 * PADDING, left_length + right_length + 4 * PADDING
    described = escape(" ".join(f"{document.title}: {said}".split())[:200])
    texts = "\n".join(
        f'<text x="{x}" y="14" textLength="{length}" lengthAdjust="spacingAndGlyphs">{word}</text>'
        for x, length, word in ((PADDING, left_length, LABEL), (left + PADDING, right_length, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT}" viewBox="0 0 {total} {HEIGHT}" '
        f'role="img" aria-label="{described}">\n'
        f"<title>{described}</title>\n"
        f'<rect width="{total}" height="{HEIGHT}" fill="{colour}"/>\n'
        f'<rect width="{left}" height="{HEIGHT}" fill="{GREY}"/>\n'
        f'<g fill="#ffffff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{SIZE}">\n{texts}\n</g>\n'
        "</svg>\n"
    )


def write_badge(document: Document, out: Path) -> Path:
    """Write ``badge.svg`` into the folder of the results.

    Args:
        document: the report.
        out: an existing folder.

    Returns:
        The path of the file.
    """
    path = out / NAME
    write_atomically(path, badge(document))
    return path


def verdict(document: Document) -> tuple[str, str, str]:
    """Glyph, words and colour of a report: red before partial, partial before holding.

    It counts the checks of the reference and of the user's subjects that hold, as those of libraries fail nothing. A report is
    partial if checks are missing, or another part as a whole.

    Args:
        document: the report.

    Example:
        >>> verdict(Document("report", ()))[:2]
        ('◐', 'no checks')
    """
    part = document.part("conformance")
    subjects = mappings(part.data, "subjects") if part else []
    hold = sum(integer(one.get("counts"), "holds") for one in subjects if text(one, "origin") in OWN)
    holding = f"{hold:,} {'check holds' if hold == 1 else 'checks hold'}"
    absent = [one for one in document.parts if one.status == "missing"]
    if document.red:
        return "✗", f"{document.red:,} red", RED
    if absent or (part and part.gaps):
        missing = f"{plural(len(absent), 'part')} missing" if absent else "checks missing"
        return "◐", f"partial: {holding if hold else missing}", AMBER
    return ("✓", holding, GREEN) if hold else ("◐", "no checks", AMBER)


def width(said: str) -> int:
    """How many pixels a text of the badge takes.

    Args:
        said: of the characters that a badge uses.

    Example:
        >>> width("3 red")
        29
    """
    return round(SIZE * sum(_OF[character] for character in said))
