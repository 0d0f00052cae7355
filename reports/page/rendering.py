"""The report as one HTML page and as Markdown, by Jinja templates. Everything that is not ours is escaped."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fishergauge.reports.extras import require
from fishergauge.reports.page.cells_json import packed_cells
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.inline_svg import FigureError, inline_svg
from fishergauge.reports.page.matrix import RED, cell_anchor, matrix
from fishergauge.reports.page.part import Figure
from fishergauge.reports.page.timed import CLOSE, OPEN
from fishergauge.reports.page.verdict import headline, red_lines, tone
from fishergauge.suites.wording import number as digits

TEMPLATES = Path(__file__).parent / "templates"
LIMIT = 1_480_000
"""Bytes of a page, so that it stays below 1.5 MB."""
PLACE = "<!--figure-->"
"""Where a figure belongs; no other text can hold it, as that is escaped."""
LEFT_OUT = "The page has no room for this figure; it is in its file."


def render_html(document: Document, out: Path, limit: int = LIMIT) -> str:
    """The page: one file that needs no other and no network.

    Args:
        document: the report.
        out: folder of the results, where the figures lie.
        limit: bytes; figures for which there is no room are only linked.

    Returns:
        HTML.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    environment, figures = _environment(escape=True), list[Figure]()

    def place(figure: Figure) -> Any:
        figures.append(figure)
        return _safe(PLACE)

    environment.filters["svg"] = place
    text = str(environment.get_template("index.html").render(document=document))
    return _filled(text, figures, out, limit - len(text.encode()))


def render_markdown(document: Document) -> str:
    """The report as Markdown, for job summaries, comments and terminals.

    Args:
        document: the report.

    Returns:
        Markdown.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    text = _environment(escape=False).get_template("report.md").render(document=document)
    return re.sub(r"\n{3,}", "\n\n", str(text)).strip() + "\n"


def _environment(escape: bool) -> Any:
    """Templates with the filters of this package; an undefined name is an error."""
    jinja2 = require("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters.update(number=number, digits=digits, slug=slug, cell=cell, code=code, path=path, embedded=embedded)
    environment.filters.update(headline=headline, tone=tone, red_lines=red_lines, matrix=matrix, packed_cells=packed_cells)
    environment.globals.update(RED=RED, timed_open=_safe(OPEN), timed_close=_safe(CLOSE), css=_safe(_dense("page.css")))
    environment.globals.update(
        javascript=_safe(_dense("page.js")), javascript_hash=_digest(_dense("page.js")), cell_anchor=cell_anchor
    )
    return environment


def _safe(text: str) -> Any:
    return require("markupsafe").Markup(text)


@cache
def asset(name: str) -> str:
    """A file of the page's own, such as its style."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _dense(name: str) -> str:
    """A file of the page's own without its indentation."""
    return re.sub(r"(?m)^ +", "", asset(name))


def _digest(text: str) -> str:
    """SHA-256 of a script, as the page's security policy names it."""
    return b64encode(sha256(text.encode()).digest()).decode()


def _filled(text: str, figures: Sequence[Figure], out: Path, room: int) -> str:
    """A page with its figures as inline SVG, in their order and as long as there is room; others leave a line that says why."""
    pieces = text.split(PLACE)
    filled = [pieces[0]]
    for figure, piece in zip(figures, pieces[1:], strict=True):
        try:
            drawn = inline_svg((out / figure.path).read_text(encoding="utf-8"), figure.name)
        except (FigureError, OSError, UnicodeError) as error:
            drawn = escape(f"The figure cannot be shown: {type(error).__name__}: {figure.path}")
        else:
            size = len(drawn.encode())
            drawn, room = (LEFT_OUT, room) if size > room else (drawn, room - size)
        filled += [drawn, piece]
    return "".join(filled)


def number(value: Any) -> str:
    """A number with three digits; a hyphen for none.

    Args:
        value: a number, or None.

    Example:
        >>> number(0.00001234), number(1234567), number(None)
        ('1.23e-05', '1,234,567', '-')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def slug(text: str) -> str:
    """A text as an identifier for anchors.

    Args:
        text: any.

    Example:
        >>> slug("curvlinops/kfac (type-2)")
        'curvlinops-kfac-type-2'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def cell(text: Any) -> str:
    r"""Text that keeps to its cell of a Markdown table and is no markup there.

    Args:
        text: any.

    Example:
        >>> cell("a|b <c>\nd")
        'a\\|b &lt;c&gt; d'
    """
    plain = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", plain)


def code(text: Any, most: int = 300) -> str:
    """Text as a code span of Markdown, cut where it is long.

    Args:
        text: any.
        most: characters of it.

    Example:
        >>> code("a `b`")
        "`a 'b'`"
    """
    plain = " ".join(str(text).split()).replace("`", "'")
    return f"`{plain if len(plain) <= most else plain[: most - 1] + '…'}`"


def path(text: str) -> str:
    """A relative path as the address of a link.

    Args:
        text: with forward slashes.

    Example:
        >>> path("peers/peers.csv"), path("a b#1?.csv"), path("javascript:x")
        ('peers/peers.csv', 'a%20b%231%3F.csv', 'javascript%3Ax')
    """
    return quote(text, safe="/")


def embedded(value: Any) -> Any:
    """A value as JSON that may stand in a script element.

    Args:
        value: as JSON allows it.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _safe(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
