"""A report of all libraries, 250 subjects by 45 claims: its size is held, and it can still be used."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from fishergauge.reports.browser.conftest import Open
from fishergauge.reports.browser.matrix_page import cell, conformance_of, controls, detail, shown_subjects
from fishergauge.reports.page.matrix import cell_anchor

MOST_BYTES = 1_500_000
MOST_NODES = 30_000


def test_it_is_small_enough_opens_and_can_be_filtered(
    large: Path, open_page: Open, record_property: Callable[[str, object], None]
) -> None:
    size = large.stat().st_size
    assert size < MOST_BYTES
    start = perf_counter()
    with open_page(large) as opened:
        opened.page.wait_for_load_state("load")
        seconds = perf_counter() - start
        nodes = opened.evaluate("() => document.querySelectorAll('*').length")
        record_property("note", f"large page: {size} bytes, {nodes} elements, open after {seconds:.1f} s")
        assert nodes < MOST_NODES
        bar = controls(opened)
        bar.get_by_role("combobox", name="Library").select_option("singd")
        names = shown_subjects(opened)
        assert len(names) == 31
        assert all(name.startswith("singd/") for name in names)
        bar.get_by_role("searchbox").fill("number-125")
        assert shown_subjects(opened) == ["singd/kfac-expand-empirical-type-2-number-125"]
        bar.get_by_role("button", name="Reset").click()
        opened.assert_quiet()


def test_a_cell_in_a_folded_library_is_reached_by_its_address(large: Path, open_page: Open) -> None:
    data = conformance_of(large)
    found = next(one for one in data["cells"] if one["subject"].endswith("number-200") and one["verdict"] == "violated")
    with open_page(large, f"#{cell_anchor(found['subject'], found['claim'])}") as opened:
        text = detail(opened).inner_text()
        assert found["subject"] in text
        assert found["worst"]["reason"] in text
        opened.page.keyboard.press("Escape")
        assert cell(opened, found["subject"], found["claim"]).is_visible()
        opened.assert_quiet()
