"""axe-core finds nothing against WCAG 2.1 AA and good practice, however the page is seen; and it finds what is planted."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.accessibility import violations
from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.browser.opened import NARROW

FAULTS = {
    "label": '<p><input type="text"></p>',
    "button-name": "<p><button></button></p>",
    "color-contrast": '<p style="color: #bbb; background: #fff">hardly to be read</p>',
    "heading-order": "<h6>much too deep</h6>",
    "link-name": '<p><a href="#conformance"></a></p>',
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_found_in_either_scheme_where_all_details_are_open(example: Path, open_page: Open, scheme: str) -> None:
    with open_page(example, color_scheme=scheme) as opened:
        opened.evaluate("() => document.querySelectorAll('details').forEach(e => { e.open = true })")
        assert violations(opened.page) == []


def test_nothing_is_found_on_a_narrow_screen(example: Path, open_page: Open) -> None:
    with open_page(example, width=NARROW) as opened:
        assert violations(opened.page) == []


def test_nothing_is_found_where_the_script_of_the_page_does_not_run(altered: Alter, open_page: Open) -> None:
    with open_page(altered("sha256-", "sha256-x", guarded=True)) as opened:
        assert opened.count("html.script") == 0
        assert violations(opened.page) == []


def test_control_planted_faults_are_found(altered: Alter, open_page: Open) -> None:
    planted = "".join(f"<div>{fault}</div>" for fault in FAULTS.values())
    with open_page(altered("</main>", f'<div id="planted">{planted}</div></main>')) as opened:
        found = {line.partition(" ")[0] for line in violations(opened.page, "#planted")}
        assert found >= set(FAULTS)
