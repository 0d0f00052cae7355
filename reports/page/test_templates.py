"""The frame of the page and of the Markdown, and the part of claims by subjects, as text; the browser has tests of its own."""

import json
import re
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from fishergauge.reports.page.collecting import ORDER
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.example_document import HOSTILE, example_document, large_document
from fishergauge.reports.page.matrix import cell_anchor
from fishergauge.reports.page.part import Figure, Gap, Part, missing
from fishergauge.reports.page.rendering import LEFT_OUT, TEMPLATES, embedded, render_html, render_markdown

pytest.importorskip("jinja2")

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.hidden: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = None

    def handle_data(self, data: str) -> None:
        if self.hidden == "script":
            self.scripts.append((self.elements[-1][1], data))
        elif self.hidden is None:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def matrix_rows(html: str) -> list[str]:
    """The rows of subjects, without those of libraries."""
    table = html.split('id="conformance-matrix"')[1].split("</table>")[0]
    return [row.split("</tr>")[0] for row in table.split("<tr>")[2:]]


def part_of(document: Document, *more: Part) -> Document:
    """The report with its part of claims by subjects, and others."""
    part = document.part("conformance")
    assert part is not None
    return replace(document, parts=(part, *more))


@pytest.fixture(scope="module")
def document() -> Document:
    hostile = [Gap(text, text, text) for text in HOSTILE]
    gaps = replace(missing("peers", "Findings", "a", "b", "c"), gaps=tuple(hostile))
    return replace(part_of(example_document(), gaps), title=HOSTILE[0], command=HOSTILE[1])


@pytest.fixture(scope="module")
def html(document: Document, tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_html(document, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_foreign_text_is_shown_as_text(page: Page) -> None:
    shown = " ".join(page.text.split())
    for text in HOSTILE:
        assert " ".join(text.split()) in shown
    assert not page.all("img")
    assert [attributes.get("type") for attributes in page.all("script")] == ["application/json", None]
    assert not any("alert" in text for attributes, text in page.scripts if attributes.get("type") is None)


def test_nothing_is_styled_or_handled_inline_and_nothing_is_loaded(page: Page) -> None:
    names = {name for _, attributes in page.elements for name in attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"src", "srcset", "action", "data", "poster", "background"}
    addresses = [attributes["href"] or "" for tag, attributes in page.elements if "href" in attributes]
    assert not [address for address in addresses if re.match(r"(?i)\s*(javascript|vbscript|http|//)", address)]


def test_the_security_policy_lets_exactly_the_own_script_run(html: str, page: Page) -> None:
    policy = next(meta["content"] or "" for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    script = html.rsplit("<script>", 1)[1].rsplit("</script>", 1)[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert len(script.encode()) < 20_000


def test_identifiers_are_unique_and_links_into_the_page_lead_somewhere(page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in page.elements if attributes.get("id"))
    assert not [id for id, count in ids.items() if count > 1]
    assert not [id for id in ids if re.search(r"\s", id or "")]
    targets = [link["href"] or "" for link in page.all("a") if (link.get("href") or "").startswith("#")]
    lost = {target for target in targets if target[1:] not in ids} - {"#glossary"}
    assert not lost
    assert any(target.startswith("#cell/") for target in targets)


def test_own_red_and_expected_cells_are_told_in_words_without_the_script(document: Document, page: Page) -> None:
    part = document.part("conformance")
    assert part is not None
    own = {subject["name"] for subject in part.data["subjects"] if subject["origin"] != "library"}
    shown = ("violated", "error", "unexpected", "vacuous", "expected")
    expected = {(c["subject"], c["claim"]) for c in part.data["cells"] if c["subject"] in own and c["verdict"] in shown}
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert expected
    assert not {cell_anchor(*names) for names in expected} - ids
    assert "3e12 times over" in page.text
    assert "64 u sqrt(P)" in page.text


def test_every_cell_of_the_matrix_has_a_sign_a_count_and_headers(html: str, document: Document) -> None:
    part = document.part("conformance")
    assert part is not None
    table = html.split('id="conformance-matrix"')[1].split("</table>")[0]
    assert table.count('<th scope="col"') == len(part.data["claims"]) + 1
    rows = matrix_rows(html)
    assert len(rows) == len(part.data["subjects"])
    assert all('<th scope="row">' in row and row.count("<td") == len(part.data["claims"]) for row in rows)
    cells = re.findall(r"<td class=([a-z])>([^<]*)", "".join(rows))
    assert len(cells) == len(part.data["cells"])
    signs = dict(zip("evuxhsn", ("!", "✗", r"\?", "○", "✓", "\N{EN DASH}", "·"), strict=True))
    assert all(re.fullmatch(signs[letter] + r"\d+\s*", text) for letter, text in cells)


def test_the_packed_cells_are_those_of_the_table(html: str, document: Document) -> None:
    part = document.part("conformance")
    assert part is not None
    packed = json.loads(html.split('id="cells">')[1].split("</script>")[0])
    for row, cells in zip(matrix_rows(html), packed["cells"], strict=True):
        assert row.count("<td class") == len(cells)
    assert {subject[0] for subject in packed["subjects"]} == {subject["name"] for subject in part.data["subjects"]}


def test_a_report_of_all_libraries_stays_small(tmp_path: Path) -> None:
    html = render_html(part_of(large_document(subjects=260, claims=50)), tmp_path)
    packed = html.split('id="cells">')[1].split("</script>")[0]
    assert "data-collapse" in html
    assert len(packed.encode()) < 250_000
    assert len(html.encode()) - len(packed.encode()) < 450_000 + 60_000


@pytest.mark.parametrize("quick", [True, False])
def test_only_a_quick_run_is_called_quick(quick: bool, tmp_path: Path) -> None:
    assert ("A quick run" in render_html(Document("r", (), quick=quick), tmp_path)) == quick
    assert ("A quick run" in render_markdown(Document("r", (), quick=quick))) == quick


def test_an_empty_report_has_a_page_without_red_or_missing_lists(tmp_path: Path) -> None:
    text = Page(render_html(Document("r", ()), tmp_path)).text
    assert "No verdict" in text
    assert "What is red" not in text
    assert "What is missing" not in text


def test_missing_parts_are_listed_with_the_command_that_brings_them(tmp_path: Path) -> None:
    gone = missing("bench", "Benchmarks", "all of it", "there is no bench.jsonl", "fishergauge bench")
    text = Page(render_html(Document("r", (gone,)), tmp_path)).text
    assert "What is missing: 1 thing" in text
    assert text.count("fishergauge bench") == 2
    assert "## What is missing\n\n- Benchmarks, all of it" in render_markdown(Document("r", (gone,)))


def test_markdown_escapes_foreign_text_and_names_red_cells_as_the_command_line_does(document: Document) -> None:
    text = render_markdown(document)
    unquoted = re.sub(r"`[^`]*`", "", text)
    assert not re.search(r"<(script|img)", unquoted)
    assert "### Red cells" in text
    assert "3e12 times over" in text
    assert "again: `fishergauge check my.py:subject --claims" in text


def test_tables_of_markdown_are_not_torn_by_foreign_text(document: Document) -> None:
    lines = [line for line in render_markdown(document).splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines[: len(HOSTILE) + 2]}
    assert len(widths) == 1


def test_markdown_fits_a_comment_in_every_case() -> None:
    many = large_document(subjects=250, claims=45).part("conformance")
    assert many is not None
    subjects = [{**subject, "origin": "yours", "name": subject["name"] + "|" * 500} for subject in many.data["subjects"]]
    reds = tuple("x" * 5000 + str(n) for n in range(20))
    gaps = tuple(Gap("w" * 5000, "y" * 5000, "c" * 5000) for _ in range(200))
    names = {subject["name"].rstrip("|"): subject["name"] for subject in subjects}
    cells = [{**cell, "subject": names[cell["subject"]], "verdict": "violated"} for cell in many.data["cells"]]
    cells = [{**cell, "counts": {"violated": cell["checks"]}} for cell in cells]
    part = replace(many, data={**many.data, "subjects": subjects, "cells": cells}, gaps=gaps, red=900, reds=reds)
    text = render_markdown(Document("r" * 3000, (part,), "c" * 9000))
    assert len(text) < 60_000
    assert text.count("\n- **violated**") == 12
    assert "more red cells are on the page" in text


def test_a_long_list_of_what_is_red_is_cut_and_counted() -> None:
    parts = tuple(Part(name, name, "", red=20, reds=("red",) * 20) for name in ("paper", "peers", "bench"))
    text = render_markdown(Document("r", parts))
    assert text.count(": red\n") == 40
    assert "- and 20 more" in text


def test_embedded_json_holds_nothing_that_html_reads() -> None:
    value = {"key": ["</script>", "<!--<script>", "&lt;", "]]>"]}
    text = str(embedded(value))
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_a_part_too_long_for_markdown_is_named_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    document = part_of(example_document())
    short = render_markdown(document)
    assert "Too long for this file" not in short
    source = (TEMPLATES / "report.md").read_text(encoding="utf-8")
    assert "left=50000" in source
    import jinja2

    def loader(_: object) -> jinja2.BaseLoader:
        small = jinja2.DictLoader({"report.md": source.replace("left=50000", "left=10")})
        return jinja2.ChoiceLoader([small, original(TEMPLATES)])

    original = jinja2.FileSystemLoader
    monkeypatch.setattr(jinja2, "FileSystemLoader", loader)
    assert "Too long for this file" in render_markdown(document)


def test_links_of_files_are_relative_paths(tmp_path: Path) -> None:
    example = example_document().part("conformance")
    assert example is not None
    part = Part("conformance", "t", "", example.data, files=("a b#1.csv", "javascript:alert(1)"))
    links = [link["href"] or "" for link in Page(render_html(Document("r", (part,)), tmp_path)).all("a")]
    assert "a%20b%231.csv" in links
    assert not [link for link in links if ":" in link]
    assert "javascript:alert(1)" in [unquote(link) for link in links]


@pytest.mark.parametrize("name", ORDER)
def test_every_part_has_both_templates(name: str) -> None:
    assert (TEMPLATES / "parts" / f"{name}.html").is_file()
    assert (TEMPLATES / "parts" / f"{name}.md").is_file()


def test_figures_for_which_there_is_no_room_are_linked(tmp_path: Path) -> None:
    text = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0L{0} 9"/></svg>'
    for name in ("one", "two"):
        (tmp_path / f"{name}.svg").write_text(text.format(name.index("o")), encoding="utf-8")
    figures = tuple(Figure(name, name.title(), "A line.", f"{name}.svg") for name in ("one", "two"))
    document = example_document()
    paper = document.part("paper")
    assert paper is not None
    drawn = replace(document, parts=(replace(paper, figures=figures, data={**paper.data, "linked": []}),))
    full = render_html(drawn, tmp_path)
    sizes = [full.count("<svg"), len(full.encode())]
    assert sizes[0] == 2
    assert LEFT_OUT not in full
    tight = render_html(drawn, tmp_path, limit=sizes[1] - 1)
    assert (tight.count("<svg"), tight.count(LEFT_OUT)) == (1, 1)
    assert len(tight.encode()) < sizes[1]
    assert render_html(drawn, tmp_path, limit=0).count(LEFT_OUT) == 2
