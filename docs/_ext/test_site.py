"""The site as it was built into ``out/docs``, and the extensions that build it."""

import argparse
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("sphinx", reason="the extra docs is not installed")

from command_line import commands, section
from docutils.utils import new_document
from mathml import prepared
from repository_files import relocated, stubs

from fishergauge.reports.page.mathematics import mathml

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
SITE = ROOT / "out" / "docs"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag's addresses and its id."""
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in LOADED:
            self.loads.append(given.get(LOADED[tag]) or "")


@pytest.fixture(scope="module")
def site() -> dict[Path, Page]:
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in sorted(SITE.rglob("*.html"))}
    if not pages:
        pytest.skip("the site is not built: sphinx-build -W --keep-going -b html docs out/docs")
    return pages


def broken(pages: dict[Path, Page]) -> Iterator[str]:
    """Links within the site that lead nowhere."""
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not link:
                continue
            target = Path(os.path.normpath(file.parent / unquote(parts.path))) if parts.path else file
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].ids):
                yield f"{file.name}: {link}"


def test_every_link_within_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    assert len(site) > 25
    assert list(broken(site)) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_text("")
    page = Page('<a href="b.html">b</a><a href="c.html">c</a><a href="#here">d</a><a href="#gone">e</a><p id="here"></p>')
    assert list(broken({tmp_path / "a.html": page})) == ["a.html: c.html", "a.html: #gone"]


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Page]) -> None:
    loads = {address for page in site.values() for address in page.loads}
    assert [address for address in loads if urlsplit(address).scheme not in ("", "data") or address.startswith("//")] == []
    assert any(address.startswith("_static/") for address in loads)


def test_no_page_says_where_it_was_built(site: dict[Path, Page]) -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in [*site, SITE / "searchindex.js"]}
    assert [name for name, text in texts.items() if str(ROOT) in text or str(Path.home()) + "/" in text] == []


def test_formulas_are_shown(site: dict[Path, Page]) -> None:
    page = (SITE / "mathematics.html").read_text(encoding="utf-8")
    assert page.count("<math") > 100
    assert "$" not in page.partition("<article")[2].partition("</article>")[0]


def test_every_public_name_is_documented(site: dict[Path, Page]) -> None:
    from fishergauge import reference, suites
    from fishergauge.reference import families, optimizers

    ids = {name for page in site.values() for name in page.ids}
    public = [f"{module.__name__}.{name}" for module in (reference, optimizers, families, suites) for name in module.__all__]
    aliases = {"fishergauge.suites.Problem", "fishergauge.suites.Facts"}
    assert [name for name in public if name not in ids | aliases] == []


def test_several_lines_are_aligned_and_unknown_words_translated() -> None:
    assert mathml(prepared(r"a &= b \\ c &= d", True), block=True).count("<mtr>") == 2
    assert "<mtable" not in mathml(prepared("a = b", True), block=True)
    assert "arg" in mathml(prepared(r"\arg\min_u u", False))


def test_links_are_seen_from_where_a_file_is_shown() -> None:
    pages = stubs(DOCS)
    readme, shown = ROOT / "README.md", DOCS / "repository" / "readme.md"
    assert pages[readme] == shown
    text = "[a](docs/peers.md#b) ![c](docs/d.png) [e](https://x.org/f.md) [g](#h) [i](CONTRIBUTING.md#j)"
    moved = "[a](../peers.md#b) ![c](../d.png) [e](https://x.org/f.md) [g](#h) [i](contributing.md#j)"
    assert relocated(text, readme, shown, pages) == moved
    code = "```python\nx = [f](docs/peers.md)\n```\n"
    assert relocated(code, readme, shown, pages) == code
    tutorial = DOCS / "tutorial.md"
    assert relocated("[a](../README.md#b)", tutorial, tutorial, pages) == "[a](repository/readme.md#b)"


def test_a_page_of_the_repository_is_one_link(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "a.md").write_text("[A](../../A.md) and more\n")
    with pytest.raises(ValueError, match=r"repository/a\.md is one link"):
        stubs(tmp_path)


def test_a_command_is_shown_with_its_options() -> None:
    parser = argparse.ArgumentParser(prog="tool")
    command = parser.add_subparsers().add_parser("do", help="does it", epilog="exit code: 0")
    command.add_argument("--times", type=int, default=3, metavar="N", help="how often (default: %(default)s)")
    command.add_argument("--kind", choices=("a", "b"))
    command.add_argument("--hidden", help=argparse.SUPPRESS)
    ((found, line),) = commands(parser)
    text = section(found, line, new_document("page")).astext()
    for part in ("tool do", "Does it.", "--times N", "how often (default: 3)", "--kind {a,b}", "exit code: 0"):
        assert part in text
    assert "--hidden" not in text.replace("[--hidden HIDDEN]", "")
