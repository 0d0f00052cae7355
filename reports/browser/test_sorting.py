"""Sorting by the heads of columns: as text, as numbers, by what a cell means where that differs from what it says, and back."""

import pytest

from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.browser.opened import Opened

ROWS = (
    ("b", "1,000", 'data-value="3"', "three"),
    ("A", "20", 'data-value="1e-9"', "tiny"),
    ("item 10", "", 'data-value="-5"', "below"),
    ("item 9", "1.5e-3", "", ""),
    ("&lt;script&gt;", "-7", 'data-value="12"', "twelve"),
)
BODY = "".join(f"<tr><th scope=row>{a}</th><td>{b}</td><td {c}>{d}</td></tr>" for a, b, c, d in ROWS)
KINDS = (("name", "text"), ("size", "number"), ("word", "number"))
HEADS = "".join(f'<th scope="col" data-sort="{kind}">{name}</th>' for name, kind in KINDS)
PLANTED = (
    f'<table class="sortable" id="planted"><caption>planted</caption><thead><tr>{HEADS}</tr></thead>'
    f"<tbody>{BODY}</tbody></table></main>"
)
ORIGINAL = ["b", "A", "item 10", "item 9", "<script>"]


def _order(opened: Opened) -> list[str]:
    return opened.texts("#planted tbody th")


def _sorted_by(opened: Opened, name: str) -> str | None:
    head = opened.page.locator("#planted thead th", has_text=name)
    head.get_by_role("button").click()
    direction: str | None = head.get_attribute("aria-sort")
    return direction


def test_text_and_numbers_both_ways_with_empty_cells_last(altered: Alter, open_page: Open) -> None:
    with open_page(altered("</main>", PLANTED)) as opened:
        assert _order(opened) == ORIGINAL
        assert _sorted_by(opened, "name") == "ascending"
        assert _order(opened) == ["<script>", "A", "b", "item 9", "item 10"]
        assert _sorted_by(opened, "name") == "descending"
        assert _order(opened) == ["item 10", "item 9", "b", "A", "<script>"]
        assert _sorted_by(opened, "size") == "ascending"
        assert _order(opened) == ["<script>", "item 9", "A", "b", "item 10"]
        assert _sorted_by(opened, "size") == "descending"
        assert _order(opened) == ["b", "A", "item 9", "<script>", "item 10"]
        assert _sorted_by(opened, "word") == "ascending"
        assert _order(opened) == ["item 10", "A", "b", "<script>", "item 9"]
        assert opened.count("#planted th[aria-sort]") == 1
        opened.assert_quiet()


def test_the_keyboard_sorts_and_a_third_time_brings_the_order_of_the_report_back(altered: Alter, open_page: Open) -> None:
    with open_page(altered("</main>", PLANTED)) as opened:
        button = opened.page.locator("#planted thead th").first.get_by_role("button")
        for key in ("Enter", " ", "Enter"):
            button.focus()
            opened.page.keyboard.press(key)
        assert _order(opened) == ORIGINAL
        assert opened.count("#planted th[aria-sort]") == 0


@pytest.mark.parametrize(
    ("wrong"),
    [
        PLANTED.replace("data-value", "data-other"),
        PLANTED.replace('data-sort="number"', 'data-sort="text"'),
        PLANTED.replace('td data-value="-5"', "td"),
    ],
    ids=["value", "number", "empty"],
)
def test_control_a_wrong_order_is_seen(altered: Alter, open_page: Open, wrong: str) -> None:
    with pytest.raises(AssertionError):
        test_text_and_numbers_both_ways_with_empty_cells_last(lambda old, _: altered(old, wrong), open_page)
