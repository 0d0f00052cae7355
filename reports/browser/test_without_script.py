"""Without JavaScript everything is there and can be read: verdicts, tables, details; and no control that does nothing."""

from pathlib import Path

from fishergauge.reports.browser.conftest import Open
from fishergauge.reports.browser.matrix_page import conformance_of
from fishergauge.reports.page.document import read_document
from fishergauge.reports.page.matrix import cell_anchor

DEAD = "button, select, input, textarea, dialog, [role=button], [role=tab], [role=switch]"


def test_every_part_has_its_heading_and_the_verdict_comes_first(example: Path, open_page: Open) -> None:
    document = read_document(example.parent)
    with open_page(example, java_script_enabled=False) as opened:
        headings = " ".join(opened.texts("main h2"))
        for part in document.parts:
            assert part.title in headings
        box = opened.page.locator("#verdict").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900
        opened.assert_quiet()


def test_every_subject_and_every_claim_of_the_matrix_is_in_view(example: Path, open_page: Open) -> None:
    data = conformance_of(example)
    with open_page(example, java_script_enabled=False) as opened:
        rows = [" ".join(text.split()) for text in opened.texts("#conformance-matrix tbody th")]
        for one in data["subjects"]:
            assert any(" ".join(one["name"].split()) in row for row in rows), one["name"]
        columns = opened.texts("#conformance-matrix thead th")
        for claim in data["claims"]:
            assert any(claim["id"] in column for column in columns)


def test_no_control_stands_there_that_does_nothing(example: Path, open_page: Open) -> None:
    with open_page(example, java_script_enabled=False) as opened:
        assert opened.texts(DEAD) == []
        assert opened.texts(".only-script") == []


def test_a_fragment_leads_to_the_evidence_of_a_cell(example: Path, open_page: Open) -> None:
    data = conformance_of(example)
    red = next(cell for cell in data["cells"] if cell["subject"] == "my-kfac" and cell["verdict"] == "violated")
    with open_page(example, f"#{cell_anchor(red['subject'], red['claim'])}", java_script_enabled=False) as opened:
        evidence = opened.page.locator("details.told", has_text="my-kfac").filter(has_text=red["claim"]).first
        evidence.get_by_text(red["worst"]["again"]).first.wait_for(state="visible")
        box = evidence.bounding_box()
        assert box is not None
        assert -50 < box["y"] < 900
