"""Tests of :mod:`fishergauge.reports.page.inline_svg`: only drawing passes, in the page's colours, with names of its own."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import write_figure
from fishergauge.reports.page.inline_svg import FigureError, inline_svg
from fishergauge.reports.panels import CHALK, INK

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 100 50">'
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</svg></script>",
    "{{ 7*7 }}",
    "\u202etfel",
    "x" * 10000,
)


def svg(inside: str, prefix: str = "fig") -> str:
    return re.sub(r"s[0-9a-f]{6}-(\d+)", rf"{prefix}-s\1", inline_svg(f"{HEAD}{inside}</svg>", prefix))


def parsed(text: str) -> ElementTree.Element:
    """The element as an XML parser sees it, which forgives nothing."""
    return ElementTree.fromstring(text)


def drawn(tmp_path: Path, draw: Any) -> str:
    """The SVG of a figure that a function draws on a pair of axes."""
    pytest.importorskip("matplotlib")

    def make() -> Any:
        figure = require("matplotlib.figure").Figure(figsize=(4, 3))
        require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        return figure

    (path,) = write_figure(make, {}, [tmp_path / "figure.svg"], dpi=50)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "given",
    [
        "<script>alert(1)</script>",
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><p>text</p></body></foreignObject>',
        "<style>*{color:red}</style>",
        '<image xlink:href="https://example.org/a.png" x="0" y="0" width="1" height="1"/>',
        '<image xlink:href="data:image/svg+xml;base64,AAAA" width="1" height="1"/>',
        '<use xlink:href="https://example.org/a.svg#b"/>',
        '<use xlink:href="#nowhere"/>',
        '<a xlink:href="javascript:alert(1)"><path d="M 0 0 L 1 1"/></a>',
        '<animate attributeName="x" to="1"/>',
        '<set attributeName="onload" to="alert(1)"/>',
        '<path d="M 0 0 L 1 1);url(x"/>',
        '<path d="M 0 0 L 1 1 )"/>',
        '<path d="M 0 0 A 1 1 0 0 0 1 1"/>',
        "<path/>",
        '<x:path xmlns:x="http://example.org" d="M 0 0 L 1 1"/>',
        '<g id="a"><defs><path id="p" d="M 0 0 L 1 1"/></defs></g>',
        "<!-- a comment -->",
        "<?xml-stylesheet href='a.css'?>",
        "<metadata>words</metadata>",
        "<text></text>",
    ],
)
def test_what_does_not_draw_is_left_out(given: str) -> None:
    kept = svg(f'<path d="M 0 0 L 9 9"/>{given}')
    assert re.fullmatch(r'<svg [^>]*><path d="M0 0l9 9"/></svg>', kept)


def test_attributes_that_do_not_draw_are_left_out() -> None:
    style = "fill: url(https://x.org/#a); stroke: red; position: fixed; stroke-width: 2em; clip-path: url(#no)"
    more = 'onload="alert(1)" class="x" transform="skewX(9) evil()" data-x="1"'
    kept = svg(f'<rect x="1" y="2" width="3" height="4" style="{style}" {more}/>')
    assert kept.endswith('<rect x="1" y="2" width="3" height="4" stroke-width="2"/></svg>')


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str, tmp_path: Path) -> None:
    page = inline_svg(drawn(tmp_path, lambda axes: axes.text(0.5, 0.5, text.replace("$", ""))), "fig")
    root = parsed(page)
    assert text in [one.text for one in root.iter("text")]
    assert {one.tag for one in root.iter()} <= {
        "svg",
        "defs",
        "clipPath",
        "rect",
        "path",
        "g",
        "use",
        "text",
        "tspan",
        "marker",
    }
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on") or name == "style"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no markup", "there is no <svg>"),
        (f"{HEAD}<g>", "damaged"),
        ("<svg viewBox='0 0 1 1'/>", "namespace"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "viewBox"),
        ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 0 9"/>', "viewBox"),
        (f"{HEAD}{'<g>' * 2000}{'</g>' * 2000}</svg>", "deeply"),
        (f'{HEAD}<path d="M 0 0 L 1e999 1"/></svg>', "too large"),
        (f'<!DOCTYPE svg [<!ENTITY a "aaaa">]>{HEAD}<text>&a;</text></svg>', "entities"),
    ],
)
def test_what_is_no_figure_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(FigureError, match=why):
        inline_svg(text, "fig")


def test_who_refers_to_himself_is_left_out() -> None:
    clip = '<clipPath id="c"><path clip-path="url(#c)" d="M 0 0 L 1 1 z"/></clipPath>'
    root = parsed(svg(f'{clip}<rect width="3" height="4" clip-path="url(#c)"/>'))
    assert [one.attrib for one in root.iter("clipPath")] == [{"id": "fig-s0"}]
    assert [one.get("clip-path") for one in root.iter("path")] == [None]


def test_identifiers_are_used_unique_and_those_of_the_figure(tmp_path: Path) -> None:
    text = drawn(tmp_path, lambda axes: (axes.plot(range(30), range(30), "o-"), axes.fill_between([0, 9], [1, 2], hatch="//")))
    pages = [inline_svg(text, prefix) for prefix in ("paper-e1", "paper e1/2")]
    names = [re.findall(r' id="([^"]*)"', page) for page in pages]
    assert all(names)
    assert len({*names[0], *names[1]}) == len(names[0]) + len(names[1])
    for page, own in zip(pages, names, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^)"]*)', page)) == set(own)
        assert all(re.fullmatch(r"s[0-9a-f]{6}-\d+", name) for name in own)


def test_black_is_ink_white_is_paper_and_grey_is_thin_ink() -> None:
    colours = {
        "#000000": 'fill="currentColor"',
        "#FFFFFF": 'fill="var(--paper,Canvas)"',
        "#555555": 'fill="currentColor" fill-opacity=".67"',
        "#0072B2": 'fill="#0072b2"',
        INK: 'fill="#000"',
        CHALK: 'fill="#fff"',
        "none": 'fill="none"',
    }
    for given, wanted in colours.items():
        assert svg(f'<path d="M 0 0 L 1 1 z" style="fill: {given}"/>').endswith(f'<path d="M0 0l1 1z" {wanted}/></svg>')
    half = svg('<path d="M 0 0 L 1 1 z" style="stroke: #808080; stroke-opacity: 0.5"/>')
    assert 'stroke="currentColor" stroke-opacity=".25"' in half


def test_the_grounds_of_figure_and_axes_are_those_of_the_page(tmp_path: Path) -> None:
    page = inline_svg(drawn(tmp_path, lambda axes: axes.plot([1, 2], [1, 2], "o", markerfacecolor="white")), "fig")
    assert "#ffffff" not in page
    assert page.count("var(--paper") == 1  # the marker
    assert 'fill="currentColor"' in page[: page.index(">")]


def test_a_clip_is_not_moved_with_what_it_clips() -> None:
    clip = '<defs><clipPath id="c"><rect width="9" height="9"/></clipPath><path id="p" d="M 0 0 L 5 5"/></defs>'
    used = svg(f'{clip}<g clip-path="url(#c)"><use xlink:href="#p" x="3" y="4"/></g>')
    assert '<g clip-path="url(#fig-s0)"><use href="#fig-s1" x="3" y="4"/></g>' in used
    image = '<image transform="scale(1 -1)" xlink:href="data:image/png;base64,AA==" width="2" height="2"/>'
    flipped = svg(f'{clip}<g clip-path="url(#c)">{image}</g>')
    assert re.search(r'<g clip-path="url\(#fig-s0\)"><image (?!clip)[^>]*transform="scale\(1 -1\)"/></g>', flipped)
    group = svg(f'{clip}<g clip-path="url(#c)"><g transform="translate(1 2)"><text>a</text></g></g>')
    assert '<g clip-path="url(#fig-s0)"><g transform="translate(1 2)"><text>a</text></g></g>' in group


def test_grid_ticks_and_labels_of_an_axis_are_neighbours() -> None:
    tick = (
        '<path style="stroke: #b0b0b0" d="M {0} 0 L {0} 9"/><use xlink:href="#t" x="{0}" y="9"/><text x="{0}" y="12">{0}</text>'
    )
    ticks = "".join(f"<g>{tick.format(i)}</g>" for i in (1, 2))
    page = svg(f'<defs><path id="t" d="M 0 0 L 0 1"/></defs><g id="matplotlib.axis_1">{ticks}</g>')
    assert [one.tag for one in parsed(page).iter()][3:] == ["g", "path", "path", "use", "use", "text", "text"]
    other = svg(f'<defs><path id="t" d="M 0 0 L 0 1"/></defs><g id="legend_1">{ticks}</g>')
    assert [one.tag for one in parsed(other).iter()][3:] == ["path", "use", "text"] * 2


def test_many_signs_are_the_corners_of_a_line() -> None:
    signs = "".join(f'<use xlink:href="#p" x="{10 * i}.004" y="{i * i}" style="fill: #0072b2"/>' for i in range(5))
    page = svg(f'<defs><path id="p" d="M 0 0 L 1 1 z"/></defs><g>{signs}</g>')
    root = parsed(page)
    (marker,) = root.iter("marker")
    (line,) = (one for one in root.iter("path") if "marker-mid" in one.attrib)
    assert marker.get("fill") == "#0072b2"
    assert (line.get("d"), line.get("fill")) == ("M0 0l10 1 10 3 10 5 10 7", "none")
    assert {line.get(f"marker-{place}") for place in ("start", "mid", "end")} == {f"url(#{marker.get('id')})"}
    few = svg('<defs><path id="p" d="M 0 0 L 1 1 z"/></defs><use xlink:href="#p" x="1" y="2"/><use xlink:href="#p"/>')
    assert few.count("<use ") == 2


def test_a_formula_is_a_line_of_text(tmp_path: Path) -> None:
    def draw(axes: Any) -> None:
        axes.set(xlabel=r"condition number $\kappa$ of the map", ylabel=r"$F_{emp}^{-1}$", xscale="log", xlim=(1, 100))

    root = parsed(inline_svg(drawn(tmp_path, draw), "fig"))
    lines = ["".join(one.itertext()) for one in root.iter("text")]
    assert "condition number κ of the map" in lines
    (label,) = (one for one in root.iter("text") if "".join(one.itertext()).startswith("condition"))
    assert label.get("text-anchor") == "middle"
    assert "101" in lines
    (tick,) = (one for one in root.iter("text") if "".join(one.itertext()) == "101")
    assert [span.text for span in tick] == ["10", "1"]
    assert float(tick[1].get("dy", 0)) < -2
    stacked = next(one for one in root.iter("text") if "F" in "".join(one.itertext()))
    assert all("dy" not in span.attrib and "y" in span.attrib for span in stacked)


def test_letters_are_never_smaller_than_eight_pixels() -> None:
    for size, wanted in ((8, "least-1"), (4, "least-2"), (2.5, "least-4")):
        assert f'class="{wanted}"' in svg(f'<text style="font-size: {size}px">a</text>')


def test_long_lines_lose_points_that_are_not_missed_and_signs_lose_none() -> None:
    straight = "M 0 0 " + " ".join(f"L {i} {i % 2 * 0.04}" for i in range(1, 31))
    assert 'd="M0 0h1 29"' in svg(f'<path d="{straight}"/>')
    bent = straight + " " + " ".join(f"L 30 {i}" for i in range(1, 20))
    assert 'd="M0 0h1 29v19"' in svg(f'<path d="{bent}"/>')
    back = "M 0 0 " + " ".join(f"L {i} 0" for i in (*range(1, 20), *range(20, 4, -1)))
    assert 'd="M0 0h1 19-15"' in svg(f'<path d="{back}"/>')
    signs = "".join(f'<use xlink:href="#p" x="{i}" y="0"/>' for i in range(20))
    page = svg(f'<defs><path id="p" d="M 0 0 L 1 1"/></defs>{signs}')
    assert f'd="M0 0h1{" 1" * 18}"' in page


def test_a_title_says_what_a_figure_is() -> None:
    page = inline_svg(f"{HEAD}</svg>", "fig", 'a "b" <c>')
    assert parsed(page)[0].text == 'a "b" <c>'
    assert "<title>" not in svg("")


def test_a_real_figure_is_less_than_half_as_large(tmp_path: Path) -> None:
    def draw(axes: Any) -> None:
        axes.semilogy(range(1, 60), range(1, 60), "s-", label="$x^2$")
        axes.legend()

    text = drawn(tmp_path, draw)
    page = inline_svg(text, "fig")
    assert len(page) < len(text) / 2
    assert page == inline_svg(text, "fig")
