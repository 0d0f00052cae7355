"""The example report has all parts and all verdicts, and what is hostile in it is text in everything that is made of it."""

import json
from pathlib import Path

import pytest

from fishergauge.reports.page import example_document
from fishergauge.reports.page.collecting import ORDER
from fishergauge.reports.page.document import read_document
from fishergauge.reports.page.example_document import HOSTILE, IMAGE, SCRIPT, WORST_FIRST, large_document, write_example
from fishergauge.reports.page.rendering import render_html, render_markdown


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example(tmp_path_factory.mktemp("example"))


def test_it_has_all_parts_and_all_verdicts(page: Path) -> None:
    document = read_document(page.parent)
    assert [part.name for part in document.parts] == ["changes", *ORDER]
    assert all(part.data for part in document.parts)
    conformance = document.part("conformance")
    assert conformance is not None
    assert {cell["verdict"] for cell in conformance.data["cells"]} == set(WORST_FIRST)
    assert {*HOSTILE} <= {one["name"] for one in conformance.data["subjects"]}


def test_no_hostile_text_becomes_markup(page: Path) -> None:
    for text in (page.read_text(encoding="utf-8"), (page.parent / "report.md").read_text(encoding="utf-8")):
        for hostile in (SCRIPT, IMAGE, "<script>alert(2)", "<h1>broken out", "onerror=alert(1)>", 'href="javascript:'):
            assert hostile not in text.replace("`", "")
        assert "alert(1)" in text


def test_the_same_document_is_the_same_page(page: Path) -> None:
    again = example_document.example_document()
    assert render_html(again, page.parent) == page.read_text(encoding="utf-8")
    assert render_markdown(again) == (page.parent / "report.md").read_text(encoding="utf-8")


def test_the_large_page_keeps_to_its_size(tmp_path: Path) -> None:
    large = write_example(tmp_path, large_document())
    assert large.stat().st_size < 1_500_000
    assert len(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["parts"]) == len(ORDER)
