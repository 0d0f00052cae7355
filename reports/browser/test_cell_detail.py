"""The detail of a cell, by mouse and by keyboard: what it says, how it is left, and how its command is copied."""

from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.browser.accessibility import violations
from fishergauge.reports.browser.conftest import Open
from fishergauge.reports.browser.matrix_page import cell, conformance_of, detail, focused_label
from fishergauge.reports.page.example_document import SCRIPT


def _cell_of(example: Path, verdict: str, subject: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """The first cell of a verdict, and its claim."""
    data = conformance_of(example)
    found = next(one for one in data["cells"] if one["verdict"] == verdict and subject in one["subject"])
    return found, next(one for one in data["claims"] if one["id"] == found["claim"])


def test_a_click_shows_what_was_claimed_measured_and_found(example: Path, open_page: Open) -> None:
    found, claim = _cell_of(example, "violated")
    with open_page(example) as opened:
        cell(opened, found["subject"], found["claim"]).click()
        text = detail(opened).inner_text()
        worst = found["worst"]
        for part in (found["subject"], claim["id"], claim["statement"], claim["source"], worst["problem"], worst["reason"]):
            assert part in text
        for part in ("0.917", "3.1e-13", worst["formula"], worst["witness"], worst["nearest"], worst["again"]):
            assert part in text
        assert SCRIPT in text
        assert violations(opened.page, "dialog") == []
        detail(opened).get_by_role("button", name="Close").click()
        assert not detail(opened).is_visible()
        assert found["subject"] in focused_label(opened)
        opened.assert_quiet()


@pytest.mark.parametrize("verdict", ["error", "unexpected", "expected", "holds", "unsupported", "not-claimed"])
def test_every_verdict_has_its_detail(example: Path, open_page: Open, verdict: str) -> None:
    found, claim = _cell_of(example, verdict)
    with open_page(example, color_scheme="dark") as opened:
        cell(opened, found["subject"], found["claim"]).click()
        text = detail(opened).inner_text()
        assert verdict in text
        assert claim["statement"] in text
        assert found["worst"].get("reason", "") in text
        opened.assert_quiet()


def test_the_keyboard_alone_opens_moves_and_closes(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        keyboard = opened.page.keyboard
        opened.page.locator(".wide:has(#conformance-matrix)").focus()
        for _ in range(40):
            keyboard.press("Tab")
            if opened.evaluate("() => document.activeElement.matches('#conformance-matrix td')"):
                break
        first = focused_label(opened)
        assert "checks" in first or "subjects" in first
        keyboard.press("ArrowDown")
        keyboard.press("ArrowRight")
        place = focused_label(opened)
        assert place != first
        keyboard.press("Enter")
        assert detail(opened).is_visible()
        assert opened.evaluate("() => document.querySelector('dialog').contains(document.activeElement)")
        title = detail(opened).get_by_role("heading").first.inner_text()
        keyboard.press("ArrowRight")
        assert detail(opened).get_by_role("heading").first.inner_text() != title
        keyboard.press("ArrowLeft")
        assert detail(opened).get_by_role("heading").first.inner_text() == title
        for _ in range(30):
            keyboard.press("Tab")
            inside = opened.evaluate(
                "() => document.activeElement === document.body || !!document.activeElement.closest('dialog')"
            )
            assert inside, "the focus leaves the detail while it is open"
        keyboard.press("Escape")
        assert not detail(opened).is_visible()
        assert focused_label(opened) == place
        assert opened.count("#conformance-matrix td[tabindex='0']") == 1
        opened.assert_quiet()


@pytest.mark.parametrize("works", [True, False], ids=["clipboard", "no-clipboard"])
def test_the_command_is_copied_or_at_least_selected(example: Path, open_page: Open, works: bool) -> None:
    found, _ = _cell_of(example, "violated")
    write = "text => { window.copied = text; return Promise.resolve() }" if works else "() => Promise.reject(new Error('no'))"
    fake = f"Object.defineProperty(navigator, 'clipboard', {{ value: {{ writeText: {write} }} }})"
    with open_page(example, prepared=fake) as opened:
        cell(opened, found["subject"], found["claim"]).click()
        detail(opened).get_by_role("button", name="Copy").first.click()
        copied = "() => window.copied === undefined ? getSelection().toString() : window.copied"
        assert opened.evaluate(copied) == found["worst"]["again"]
        said = "Copied" if works else "Selected"
        detail(opened).get_by_text(said).wait_for()
        opened.assert_quiet()
