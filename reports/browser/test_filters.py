"""Filters by library, claim, verdict and text: what they show, what the counter says, and that a reset undoes them."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.browser.matrix_page import cell, conformance_of, controls, shown_subjects
from fishergauge.reports.browser.opened import Opened
from fishergauge.reports.page.example_document import IMAGE, SCRIPT

TABLE = "conformance-subjects-table"


def _counter(opened: Opened, table: str = "conformance-matrix") -> tuple[int, int]:
    """How many are shown, and of how many."""
    shown, _, total = controls(opened, table).locator("output, [role=status]").first.inner_text().split()[:3]
    return int(shown), int(total)


def test_the_matrix_is_filtered_by_library_verdict_claim_and_name(example: Path, open_page: Open) -> None:
    data = conformance_of(example)
    every = [one["name"] for one in data["subjects"]]
    with open_page(example) as opened:
        bar = controls(opened)
        assert sorted(shown_subjects(opened)) == sorted(every)
        assert _counter(opened) == (len(every), len(every))

        bar.get_by_role("combobox", name="Library").select_option("fishergauge")
        assert shown_subjects(opened) == ["fishergauge/fisher", "fishergauge/kfac"]
        assert _counter(opened) == (2, len(every))
        bar.get_by_role("button", name="Reset").click()
        assert len(shown_subjects(opened)) == len(every)

        bar.get_by_role("combobox", name="Verdict").select_option(label="unexpected")
        wanted = {one["subject"] for one in data["cells"] if one["verdict"] == "unexpected"}
        assert set(shown_subjects(opened)) == wanted
        assert _counter(opened) == (len(wanted), len(every))

        claim = data["claims"][3]["id"]
        box = bar.get_by_role("combobox", name="Claim")
        box.select_option(box.locator("option", has_text=claim).first.get_attribute("value"))
        wanted = {one["subject"] for one in data["cells"] if one["verdict"] == "unexpected" and one["claim"] == claim}
        assert set(shown_subjects(opened)) == wanted
        assert not cell(opened, every[0], data["claims"][5]["id"]).is_visible()
        bar.get_by_role("button", name="Reset").click()

        for text, names in ((SCRIPT[:9].upper(), [SCRIPT]), (IMAGE, [IMAGE]), ("nowhere to be found", [])):
            bar.get_by_role("searchbox").fill(text)
            assert [name for name in shown_subjects(opened) if name in names] == names
            assert _counter(opened)[0] == len(shown_subjects(opened)) >= len(names)
        bar.get_by_role("button", name="Reset").click()
        assert _counter(opened) == (len(every), len(every))
        assert cell(opened, every[0], data["claims"][5]["id"]).is_visible()
        opened.assert_quiet()


def test_a_table_is_filtered_by_its_facets_and_by_text(example: Path, open_page: Open) -> None:
    subjects = conformance_of(example)["subjects"]
    with open_page(example) as opened:
        bar = controls(opened, TABLE)
        rows = f"#{TABLE} tbody tr"
        assert _counter(opened, TABLE) == (len(subjects), len(subjects))
        bar.get_by_role("combobox", name="Structure").select_option("dense")
        assert len(opened.texts(rows)) == sum(one["structure"] == "dense" for one in subjects) == 1
        bar.get_by_role("combobox", name="Library").select_option("yours")
        assert opened.texts(rows) == []
        assert _counter(opened, TABLE) == (0, len(subjects))
        bar.get_by_role("button", name="Reset").click()
        bar.get_by_role("searchbox").fill("ALERT(1)")
        assert len(opened.texts(rows)) == 2
        bar.get_by_role("button", name="Reset").click()
        assert len(opened.texts(rows)) == len(subjects)
        opened.assert_quiet()


def test_filters_work_with_the_keyboard_alone(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        box = controls(opened).get_by_role("combobox", name="Library")
        box.focus()
        opened.page.keyboard.press("ArrowDown")
        assert _counter(opened)[0] < _counter(opened)[1]
        reset = controls(opened).get_by_role("button", name="Reset")
        reset.focus()
        opened.page.keyboard.press("Enter")
        assert _counter(opened)[0] == _counter(opened)[1]


def test_control_a_filter_that_does_not_hide_is_seen(altered: Alter, example: Path, open_page: Open) -> None:
    page = altered("</head>", "<style>tbody tr[hidden] { display: table-row !important }</style></head>")
    (page.parent / "report.json").write_bytes((example.parent / "report.json").read_bytes())
    for test in (
        test_the_matrix_is_filtered_by_library_verdict_claim_and_name,
        test_a_table_is_filtered_by_its_facets_and_by_text,
    ):
        with pytest.raises(AssertionError):
            test(page, open_page)
