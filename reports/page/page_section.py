"""A part of a page as its reader meets it, for the tests: texts, elements, anchors and links."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import render_html, render_markdown

VOID = frozenset({"br", "img", "hr", "input", "link", "meta", "wbr"})


@dataclass
class Section:
    """What stands in a part.

    Args:
        html: of the part.
        elements: how many there are of each.
        handlers: attributes that would run a script.
        ids: anchors.
        links: targets.
        texts: pieces of text, in their order.
    """

    html: str = ""
    elements: Counter[str] = field(default_factory=Counter)
    handlers: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text, as it is shown."""
        return "".join(self.texts)


def rendered(part: Part, out: Path) -> tuple[str, str]:
    """A report of one part as HTML and as Markdown.

    Args:
        part: the only one.
        out: folder of the results.
    """
    document = Document("t", (part,))
    return render_html(document, out), render_markdown(document)


def section_of(page: str, name: str) -> Section:
    """Read a part of a page.

    Args:
        page: HTML.
        name: of the part.

    Raises:
        ValueError: the page has no such part, or it is not closed properly.

    Example:
        >>> section_of('<section id="a"><p id="b">1 &lt; 2</p></section>', "a").text
        '1 < 2'
    """
    reader = _Reader(name)
    reader.feed(page)
    reader.close()
    if not reader.found or reader.open:
        raise ValueError(f"the page has no part {name!r}, or it is not closed: {reader.open}")
    start = page.index(f'id="{name}"')
    reader.section.html = page[page.rindex("<", 0, start) : page.index("</section>", start)]
    return reader.section


class _Reader(HTMLParser):
    """Collects what stands in one section; raises ValueError where elements do not match."""

    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name, self.section = name, Section()
        self.open: list[str] = []
        self.found = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if not self.open and not (tag == "section" and values.get("id") == self.name):
            return
        self.found = True
        self.section.elements[tag] += 1
        self.section.handlers += [name for name in values if name.startswith("on") or name == "style"]
        self.section.ids += [str(values["id"])] if "id" in values else []
        self.section.links += [str(values["href"])] if "href" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes another element")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.section.texts.append(data)
