"""The badge: what it says, that it can be read, and that nothing foreign gets into it."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.page.badge import _OF, AMBER, GREEN, GREY, LABEL, PADDING, RED, badge, verdict, width, write_badge
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.example_document import ENDLESS, HOSTILE, example_document
from fishergauge.reports.page.part import Gap, Part, missing

SVG = "{http://www.w3.org/2000/svg}"
GONE = missing("paper", "The paper's claims", "the ledger", "not there", "fishergauge reproduce all")


def conformance(holds: int = 3120, red: int = 0, origin: str = "yours") -> Part:
    library = {"name": "other", "origin": "library", "counts": {"holds": 7, "violated": 2}}
    subjects = [{"name": "mine", "origin": origin, "counts": {"holds": holds, "unsupported": 5}}, library]
    return Part("conformance", "Claims", "", {"subjects": subjects}, red=red)


@pytest.mark.parametrize(
    ("parts", "glyph", "said", "colour"),
    [
        ((conformance(),), "✓", "3,120 checks hold", GREEN),
        ((conformance(1),), "✓", "1 check holds", GREEN),
        ((conformance(red=3),), "✗", "3 red", RED),
        ((conformance(red=3), GONE), "✗", "3 red", RED),
        ((conformance(), GONE), "◐", "partial: 3,120 checks hold", AMBER),
        ((replace(conformance(), gaps=(Gap("records", "damaged"),)),), "◐", "partial: 3,120 checks hold", AMBER),
        ((conformance(), Part("bench", "", "", {"a": 1}, gaps=(Gap("a figure", "no"),))), "✓", "3,120 checks hold", GREEN),
        ((GONE,), "◐", "partial: 1 part missing", AMBER),
        ((conformance(origin="library", holds=4),), "◐", "no checks", AMBER),
        ((), "◐", "no checks", AMBER),
    ],
)
def test_what_it_says(parts: tuple[Part, ...], glyph: str, said: str, colour: str) -> None:
    document = Document("report", parts)
    assert verdict(document) == (glyph, said, colour)
    image = ElementTree.fromstring(badge(document))
    assert [element.text for element in image.iter(f"{SVG}text")] == [LABEL, f"{glyph} {said}"]
    assert image.get("aria-label") == f"report: {said}"
    assert image.findtext(f"{SVG}title") == f"report: {said}"


def _luminance(colour: str) -> float:
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [GREY, GREEN, AMBER, RED])
def test_white_text_can_be_read(colour: str) -> None:
    assert 1.05 / (_luminance(colour) + 0.05) >= 4.5
    assert 1.05 / (_luminance("#00a060") + 0.05) < 4.5  # which a lighter green would not allow


def test_the_texts_have_their_room() -> None:
    image = ElementTree.fromstring(badge(Document("report", (conformance(),))))
    left, right = image.iter(f"{SVG}text")
    boxes = list(image.iter(f"{SVG}rect"))[::-1]
    ends = [float(text.get("x", "")) + float(text.get("textLength", "")) for text in (left, right)]
    edges = [float(box.get("width", "")) for box in boxes]
    assert [edge - end for edge, end in zip(edges, ends, strict=True)] == [PADDING, PADDING]
    assert float(image.get("width", "")) == edges[1]


def test_the_widths_are_those_of_the_font() -> None:
    font_manager = pytest.importorskip("matplotlib.font_manager")
    font = pytest.importorskip("matplotlib.ft2font").FT2Font(font_manager.findfont("DejaVu Sans"))
    font.set_size(1000, 72)
    measured = {character: font.load_char(ord(character)).linearHoriAdvance / 65536 / 1000 for character in _OF}
    assert measured == pytest.approx(_OF, abs=6e-4)


def test_every_text_of_a_badge_can_be_measured() -> None:
    for said in (
        LABEL,
        "✓ 1,234,567,890 checks hold",
        "✗ 1 red",
        "◐ partial: 0 parts missing",
        "◐ no checks",
        "checks missing",
    ):
        assert width(said) > 0


@pytest.mark.parametrize("text", [*HOSTILE, ENDLESS])
def test_a_title_that_is_not_ours_is_text(text: str) -> None:
    source = badge(Document(text, (conformance(),)))
    image = ElementTree.fromstring(source)
    assert {element.tag for element in image.iter()} == {f"{SVG}{name}" for name in ("svg", "title", "rect", "g", "text")}
    assert (image.get("aria-label") or "") == " ".join(f"{text}: 3,120 checks hold".split())[:200]
    assert len(source) < 2000


def test_it_loads_nothing_and_is_the_same_each_time() -> None:
    one = badge(example_document())
    assert one == badge(example_document())
    assert re.findall(r"(?:href|src|url\()[^>]*", one) == []
    assert "style" not in one


def test_it_is_written_beside_the_page(tmp_path: Path) -> None:
    document = Document("report", (conformance(),))
    path = write_badge(document, tmp_path)
    assert path == tmp_path / "badge.svg"
    assert path.read_text(encoding="utf-8") == badge(document)
