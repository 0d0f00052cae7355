"""The difference from an earlier report: what got worse is first, can be filtered, and leads to its evidence."""

from pathlib import Path

from fishergauge.reports.browser.conftest import Open
from fishergauge.reports.browser.matrix_page import controls, detail
from fishergauge.reports.page.document import read_document

TABLE = "changes-table"


def test_changes_are_shown_filtered_and_linked(example: Path, open_page: Open) -> None:
    part = read_document(example.parent).part("changes")
    assert part is not None
    rows = part.data["changes"]
    worse = [row for row in rows if row["kind"] == "regression"]
    with open_page(example, "#changes") as opened:
        assert len(opened.texts(f"#{TABLE} tbody tr")) == len(rows) > len(worse) > 0
        assert "red" in opened.texts(f"#{TABLE} tbody tr")[0]
        bar = controls(opened, TABLE)
        bar.get_by_role("combobox", name="Kind").select_option("regression")
        assert len(opened.texts(f"#{TABLE} tbody tr")) == len(worse)
        opened.page.locator(f"#{TABLE} a[href^='#cell/']").filter(visible=True).first.click()
        opened.page.wait_for_function("() => document.querySelector('dialog[open]')")
        first = next(row for row in worse if row["anchor"].startswith("cell/"))
        assert first["what"].split()[0] in " ".join(detail(opened).inner_text().split())
        opened.assert_quiet()


def test_a_report_without_an_earlier_one_has_no_such_part(large: Path, open_page: Open) -> None:
    with open_page(large) as opened:
        assert opened.count("#changes") == 0
        assert opened.page.locator("nav").get_by_role("link", name="Changes").count() == 0
