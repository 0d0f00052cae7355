"""Changes as a part of the report: what is counted red, and how it is shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.changes_part import LONGEST, MOST, changes_part
from fishergauge.reports.page.document import Document, read_document, write_document
from fishergauge.reports.page.example_document import ENDLESS, HOSTILE
from fishergauge.reports.page.matrix import cell_anchor
from fishergauge.reports.page.part import Part

pytest.importorskip("jinja2")


def conformance(*cells: tuple[str, str, str], red: int = 0, reason: str = "half of it") -> Part:
    """Cells of subject, claim and verdict."""
    rows = [
        {"subject": subject, "claim": claim, "verdict": verdict, "counts": {verdict: 1}, "worst": {"reason": reason}}
        for subject, claim, verdict in cells
    ]
    subjects = [{"name": name, "origin": "yours"} for name in dict.fromkeys(cell[0] for cell in cells)]
    data = {"dtypes": ["float64"], "subjects": subjects, "cells": rows}
    return Part("conformance", "Claims by subjects", "", data, red=red)


def document(part: Part, title: str = "report") -> Document:
    return Document(title, (part,), "fishergauge report")


def html(part: Part, out: Path) -> str:
    from fishergauge.reports.page.rendering import render_html

    return render_html(Document("report", (part,)), out)


def markdown(part: Part) -> str:
    from fishergauge.reports.page.rendering import render_markdown

    return render_markdown(Document("report", (part,)))


GOOD = document(conformance(("mine", "T4", "holds"), ("mine", "T5", "holds"), ("mine", "T6", "holds")))
BAD = document(conformance(("mine", "T4", "violated"), ("mine", "T5", "expected"), red=1))


def test_red_is_what_got_worse_and_is_not_red_in_its_own_part() -> None:
    part = changes_part(GOOD, BAD)
    assert part.red == 2
    assert part.reds == ("regression: mine T5: holds -> expected", "vanished: mine T6: was holds")
    assert (part.data["red"], part.data["elsewhere"]) == (3, 1)
    assert part.summary == "3 changes for the worse: 2 regressed, 1 vanished. Compared: 2 cells."


def test_what_is_red_in_its_own_part_fails_the_report_there() -> None:
    new = conformance(("mine", "T4", "violated"), ("mine", "T5", "holds"), ("mine", "T6", "holds"), red=1)
    assert changes_part(GOOD, document(new)).red == 0
    uncounted = conformance(("mine", "T4", "violated"), ("mine", "T5", "holds"), ("mine", "T6", "holds"), red=0)
    assert changes_part(GOOD, document(uncounted)).red == 1


def test_no_change_is_said() -> None:
    part = changes_part(GOOD, GOOD)
    assert (part.red, part.data["changes"], part.status) == (0, [], "complete")
    assert part.summary == "Nothing got worse. Compared: 3 cells."


def test_the_page_shows_each_change_with_a_link_and_more_than_colour(tmp_path: Path) -> None:
    page = html(changes_part(GOOD, BAD), tmp_path)
    rows = re.findall(r'<tr data-part="([^"]+)" data-kind="([^"]+)">(.*?)</tr>', page)
    assert [kind for _, kind, _ in rows] == ["regression", "regression", "vanished"]
    assert f'<a href="#{cell_anchor("mine", "T4")}">Claims by subjects</a>' in rows[0][2]
    assert "holds → violated: half of it" in rows[0][2]
    assert all("✗</span> red</span>" in row for _, _, row in rows)
    assert "<a " not in rows[2][2]  # what vanished stands nowhere
    assert '<th scope="col" data-sort="text">kind</th>' in page


def test_markdown_shows_what_changed_first() -> None:
    lines = markdown(changes_part(GOOD, BAD)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[2:] == [
        "| ✗ red | Claims by subjects | regression | mine T4 | holds → violated: half of it |",
        "| ✗ red | Claims by subjects | regression | mine T5 | holds → expected |",
        "| ✗ red | Claims by subjects | vanished | mine T6 | was holds |",
    ]


def test_notes_are_told_on_page_and_in_markdown(tmp_path: Path) -> None:
    part = changes_part(GOOD, document(GOOD.parts[0], "other"))
    assert "<li><bdi>Title</bdi>: <bdi>report → other</bdi></li>" in html(part, tmp_path)
    assert "- Title: report → other\n" in markdown(part)


@pytest.mark.parametrize("text", [*HOSTILE, ENDLESS])
def test_text_that_is_not_ours_is_shown_as_text(text: str, tmp_path: Path) -> None:
    old = document(conformance((text, "T4", "holds"), (text, text, "holds")), text)
    new = document(conformance((text, "T4", "violated"), reason=text), f"{text} ")
    part = changes_part(old, new)
    page, text_page = html(part, tmp_path), markdown(part)
    assert len(part.data["changes"]) == 2
    harmless = html(changes_part(GOOD, BAD), tmp_path)
    for mark in ("<script", "<img", "</script"):
        assert page.count(mark) == harmless.count(mark)
        assert mark not in text_page
    assert ("{{ 7*7 }}" in page) == ("{{ 7*7 }}" in text)  # shown, not computed
    anchors = re.findall(r'href="#([^"]*)"', page)
    assert all(re.fullmatch(r"[\w.~!*'()%/-]+", anchor) for anchor in anchors)
    rows = [re.sub(r"\\.", "", line) for line in text_page.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [6] * 4
    assert max(len(change["text"]) for change in part.data["changes"]) <= LONGEST + 3


def test_ten_thousand_changes_do_not_burst_the_page(tmp_path: Path) -> None:
    many = [(f"subject-{number}", f"T{claim}", "holds") for number in range(250) for claim in range(41)]
    broken = [(subject, claim, "violated" if claim == "T7" else "holds") for subject, claim, _ in many if claim != "T8"]
    fewer = [cell for cell in broken if not cell[0].endswith("9")]
    part = changes_part(document(conformance(*many)), document(conformance(*fewer, red=225)))
    assert len(part.data["changes"]) + part.data["more"] == 225 + 225 + 25
    assert len(html(part, tmp_path)) < 400_000
    all_of_it = changes_part(document(conformance(*many)), document(conformance(*((s, c, "violated") for s, c, _ in many))))
    assert len(all_of_it.data["changes"]) == MOST
    assert all_of_it.data["more"] == len(many) - MOST
    assert len(html(all_of_it, tmp_path)) < 400_000
    assert len(markdown(all_of_it)) < 10_000


def test_the_part_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    part = changes_part(GOOD, BAD)
    write_document(Document("report", (part,)), tmp_path)
    again = read_document(tmp_path).part("changes")
    assert again is not None
    assert json.loads(json.dumps(part.data)) == again.data


def test_every_kind_that_is_shown_is_explained() -> None:
    data: Any = changes_part(GOOD, BAD).data
    assert list(data["meanings"]) == ["regression", "vanished"]


def test_records_are_compared_where_the_folders_have_them(tmp_path: Path) -> None:
    from fishergauge.suites.record import Record
    from fishergauge.suites.records_file import write_records

    folders = (tmp_path / "old", tmp_path / "new")
    for folder, verdict in zip(folders, ("holds", "violated"), strict=True):
        (folder / "conformance").mkdir(parents=True)
        record = Record("mine", "T4", "mlp", verdict="holds" if verdict == "holds" else "violated")
        write_records([record], folder / "conformance" / "records.jsonl")
    assert changes_part(GOOD, GOOD, folders).data["changes"][0]["what"] == "mine T4@mlp[float64-cpu]"
