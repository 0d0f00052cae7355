"""On a narrow screen the page does not scroll sideways; wide tables scroll within themselves, by keyboard as well."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.browser.opened import NARROW

OVERHANG = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTSIDE = """() => [...document.querySelectorAll('main *')].filter(e => {
    const box = e.getBoundingClientRect(), held = e.closest('.wide, .plot, pre, svg')
    return !held && box.width > 0 && box.right > innerWidth + 1
}).map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [NARROW, 320])
def test_the_page_does_not_scroll_sideways(example: Path, open_page: Open, width: int, script: bool) -> None:
    with open_page(example, width=width, java_script_enabled=script) as opened:
        opened.evaluate("() => document.querySelectorAll('details').forEach(e => { e.open = true })")
        assert opened.evaluate(OUTSIDE) == []
        assert opened.evaluate(OVERHANG) <= 0


def test_control_an_overhang_is_seen(altered: Alter, open_page: Open) -> None:
    with open_page(altered("</main>", '<div style="width: 900px">broad</div></main>'), width=NARROW) as opened:
        assert opened.evaluate(OUTSIDE)
        assert opened.evaluate(OVERHANG) > 0


def test_a_wide_table_scrolls_by_keyboard(example: Path, open_page: Open) -> None:
    with open_page(example, width=NARROW) as opened:
        wide = opened.page.locator(".wide:has(#conformance-matrix)")
        wide.focus()
        opened.page.keyboard.press("ArrowRight")
        opened.page.wait_for_function("e => e.scrollLeft > 0", arg=wide.element_handle())
