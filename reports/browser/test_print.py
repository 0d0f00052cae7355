"""Printed, the page is whole: details are open, controls are gone, and it makes several sheets."""

import re
from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Open

CLOSED = """() => [...document.querySelectorAll('details')].filter(e => {
    const hidden = getComputedStyle(e.parentElement).display === 'none' || e.closest('nav')
    return !hidden && ![...e.children].some(child => child.tagName !== 'SUMMARY' && child.checkVisibility())
}).map(e => e.querySelector('summary').textContent.trim())"""
CONTROLS = "button:not(th *), select, input, nav"


def _sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("script", [True, False])
def test_details_are_open_and_controls_are_gone(example: Path, open_page: Open, script: bool) -> None:
    with open_page(example, java_script_enabled=script) as opened:
        assert opened.evaluate(CLOSED) != []
        opened.page.emulate_media(media="print")
        assert opened.evaluate(CLOSED) == []
        assert opened.texts(CONTROLS) == []


def test_browsers_that_know_no_style_for_details_open_them_by_script(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        before = opened.count("details[open]")
        opened.evaluate("() => dispatchEvent(new Event('beforeprint'))")
        assert opened.count("details[open]") == opened.count("details") > before
        opened.evaluate("() => dispatchEvent(new Event('afterprint'))")
        assert opened.count("details[open]") == before


def test_it_makes_several_sheets_in_light_colours_also_from_a_dark_screen(example: Path, open_page: Open) -> None:
    with open_page(example, color_scheme="dark") as opened:
        sheets = _sheets(opened.page.pdf(format="A4"))
        assert sheets > 1
        opened.page.emulate_media(media="print")
        assert opened.evaluate("() => getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        opened.assert_quiet()
