"""Links into the page: to a part, to a finding, to a cell of a subject whatever its name; and links to nothing do no harm."""

from pathlib import Path
from urllib.parse import quote

import pytest

from fishergauge.reports.browser.conftest import Open
from fishergauge.reports.browser.matrix_page import conformance_of, detail, shown_subjects
from fishergauge.reports.page.document import read_document
from fishergauge.reports.page.example_document import HOSTILE, SCRIPT, TWINS
from fishergauge.reports.page.matrix import cell_anchor

IN_VIEW = """id => {
    const box = document.getElementById(id).getBoundingClientRect()
    return box.top > -2 && box.top < innerHeight
}"""
CURRENT = "part => document.querySelector('nav [aria-current]').hash === `#${part}`"
NOWHERE = (
    "#nowhere",
    "#cell/",
    "#cell/nobody/T1",
    "#cell//",
    "#%E0%A4%A",
    "#cell/%/%",
    "#<script>alert(1)</script>",
    "#constructor",
    "#//",
)


def test_every_part_has_an_address(example: Path, open_page: Open) -> None:
    parts = [part.name for part in read_document(example.parent).parts]
    with open_page(example, f"#{parts[-1]}") as opened:
        opened.page.wait_for_function(IN_VIEW, arg=parts[-1])
        opened.assert_quiet()


def test_contents_lead_to_the_parts(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        for part in read_document(example.parent).parts:
            opened.page.locator("nav").get_by_role("link", name=part.title).first.click()
            opened.page.wait_for_function(IN_VIEW, arg=part.name)
            assert opened.page.url.endswith(f"#{part.name}")
            opened.page.wait_for_function(
                "part => document.querySelector('nav [aria-current]').hash === `#${part}`", arg=part.name
            )


def test_an_address_within_closed_details_opens_them(example: Path, open_page: Open) -> None:
    script = """() => [...document.querySelectorAll('details:not([open]) [id]')].map(e => e.id)
        .filter(id => !id.startsWith('cell/') && document.getElementById(id).tagName !== 'SCRIPT')[0]"""
    with open_page(example) as opened:
        inside = opened.evaluate(script)
        if inside is None:
            pytest.skip("no closed details of the page hold an address")
        opened.evaluate("id => { location.hash = id }", inside)
        opened.page.wait_for_function("id => document.getElementById(id).checkVisibility()", arg=inside)
        opened.assert_quiet()


@pytest.mark.parametrize("spelling", ["page", "everything"])
def test_a_cell_of_any_subject_has_an_address(example: Path, open_page: Open, spelling: str) -> None:
    data = conformance_of(example)
    statements = {one["id"]: one["statement"] for one in data["claims"]}
    with open_page(example) as opened:
        for name in (*HOSTILE, *TWINS, "curvlinops/kfac (type-2)"):
            claim = next(one["claim"] for one in data["cells"] if one["subject"] == name)
            anchor = cell_anchor(name, claim) if spelling == "page" else f"cell/{quote(name, safe='')}/{quote(claim, safe='')}"
            opened.evaluate("hash => { location.hash = hash }", anchor)
            opened.page.wait_for_function(
                "text => document.querySelector('dialog[open]')?.textContent.includes(text)", arg=name
            )
            assert statements[claim] in detail(opened).inner_text()
            opened.page.keyboard.press("Escape")
            opened.page.wait_for_function("() => location.hash === '#conformance'")
        opened.assert_quiet()


def test_the_address_of_a_cell_opens_it_when_the_page_is_opened_with_it(example: Path, open_page: Open) -> None:
    data = conformance_of(example)
    claim = next(one["claim"] for one in data["cells"] if one["subject"] == SCRIPT)
    with open_page(example, f"#{cell_anchor(SCRIPT, claim)}") as opened:
        assert SCRIPT in detail(opened).inner_text()
        link = detail(opened).get_by_role("link", name="Link to this cell").get_attribute("href")
    with open_page(example, link) as opened:
        assert SCRIPT in detail(opened).inner_text()


def test_an_address_of_a_row_that_is_filtered_away_brings_it_back(example: Path, open_page: Open) -> None:
    data = conformance_of(example)
    claim = next(one["claim"] for one in data["cells"] if one["subject"] == "my-kfac")
    with open_page(example) as opened:
        opened.page.locator("#conformance-controls").get_by_role("combobox", name="Library").select_option("backpack")
        assert "my-kfac" not in shown_subjects(opened)
        opened.evaluate("hash => { location.hash = hash }", cell_anchor("my-kfac", claim))
        opened.page.wait_for_function("() => document.querySelector('dialog[open]')")
        assert "my-kfac" in shown_subjects(opened)


def test_an_address_of_nothing_does_no_harm(example: Path, open_page: Open) -> None:
    with open_page(example, NOWHERE[0]) as opened:
        for fragment in NOWHERE:
            opened.evaluate("hash => { location.hash = hash }", fragment)
            opened.page.locator("[role=status], [aria-live]").filter(has_text="names nothing").wait_for()
            assert opened.count("dialog[open]") == 0
        opened.evaluate("() => { location.hash = 'conformance' }")
        opened.page.wait_for_function(IN_VIEW, arg="conformance")
        assert opened.texts(".said") == []
        opened.assert_quiet()


def test_what_is_red_links_to_its_evidence(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        opened.evaluate("() => document.querySelectorAll('.reds details').forEach(e => { e.open = true })")
        link = opened.page.locator(".reds a[href^='#cell/']").filter(visible=True).first
        subject = link.inner_text().partition(":")[0]
        link.click()
        opened.page.wait_for_function("name => document.querySelector('dialog[open]')?.textContent.includes(name)", arg=subject)
        opened.assert_quiet()
