"""The verdict sentence and the list of what is red."""

from typing import Any

import pytest

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part, missing
from fishergauge.reports.page.verdict import RedLine, counts, headline, red_lines, tone


def document(*subjects: tuple[str, dict[str, int]], cells: Any = (), red: int = 0, reds: tuple[str, ...] = ()) -> Document:
    """A report with these subjects (origin and counts), and a part about a paper."""
    described = [{"name": f"s{n}", "library": "x", "origin": origin, "counts": c} for n, (origin, c) in enumerate(subjects)]
    data = {"subjects": described, "claims": [], "cells": list(cells)}
    paper = Part("paper", "The paper's claims", "", {"rows": 1})
    return Document("report", (Part("conformance", "Claims by subjects", "", data, red=red, reds=reds), paper))


def test_a_green_report_says_so_with_its_counts() -> None:
    green = document(("reference", {"holds": 3000, "expected": 2}), ("yours", {"holds": 100, "unsupported": 7}))
    assert headline(green) == (
        "Nothing is red: 3,100 of 3,109 checks of s1 and of 1 reference quantity hold, 2 fail as declared, 7 are refused as "
        "unsupported."
    )
    assert tone(green) == "green"


def test_few_subjects_are_named_and_many_are_counted() -> None:
    three = [("yours", {"holds": 1})] * 3
    assert "3 of 3 checks of s0, s1 and s2 hold" in headline(document(*three))
    many = document(*three, three[0], *[("reference", {"unsupported": 1})] * 2)
    assert "4 of 6 checks of 4 subjects and of 2 reference quantities hold" in headline(many)
    assert headline(document(("yours", {"holds": 1, "expected": 1}))).endswith(
        "1 of 2 checks of s0 holds, 1 fails as declared."
    )


def test_a_red_report_counts_what_is_red_first() -> None:
    one = document(("yours", {"holds": 5, "violated": 4, "error": 1}), red=1)
    assert headline(one) == "1 result is red: 5 of 10 checks of s0 hold, 4 are violated, 1 is in error."
    assert tone(one) == "red"


def test_failures_of_libraries_are_findings_and_not_red() -> None:
    found = document(("reference", {"holds": 2}), ("library", {"violated": 3, "error": 1, "expected": 5, "holds": 6}))
    assert headline(found) == (
        "Nothing is red: 2 of 2 checks of 1 reference quantity hold; of 15 checks of 1 quantity of other libraries 5 fail as "
        "the ledger of findings says, and 4 contradict it."
    )
    assert counts(found, own=False) == {"error": 1, "violated": 3, "expected": 5, "holds": 6}
    assert headline(document(("library", {"holds": 1}))).endswith(
        "0 fail as the ledger of findings says, and none contradicts it."
    )


def test_vacuous_claims_are_said() -> None:
    one = document(("yours", {"holds": 2}))
    one.parts[0].data["subjects"][0]["vacuous"] = {"T4": "refused", "T5": "refused"}
    assert headline(one) == "Nothing is red: 2 of 2 checks of s0 hold; 2 claims were examined on no problem."


def test_without_checks_there_is_no_verdict_and_nothing_is_called_green() -> None:
    empty = Document("report", (missing("conformance", "Claims by subjects", "all", "no file", "fishergauge report"),))
    assert headline(empty) == "No verdict: neither a reference quantity nor a subject of yours was checked."
    assert tone(empty) == "none"
    libraries = document(("library", {"violated": 3}))
    assert headline(libraries).startswith("No verdict: neither")
    assert "of 3 checks of 1 quantity of other libraries" in headline(libraries)
    assert tone(libraries) == "none"


def test_something_else_is_red_although_no_subject_was_checked() -> None:
    other = Document("report", (Part("paper", "Paper", "", {"rows": 1}, red=2, reds=("a", "b")),))
    assert headline(other).startswith("2 results are red; neither")
    assert tone(other) == "red"


def test_a_red_line_leads_to_its_cell_and_to_its_part_otherwise() -> None:
    cells = [
        {"subject": "kfac", "claim": "T4", "verdict": "violated"},
        {"subject": "kfac-mc", "claim": "T4", "verdict": "violated"},
        {"subject": "a b", "claim": "T1", "verdict": "error"},
        {"subject": "kfac", "claim": "T5", "verdict": "holds"},
    ]
    lines = ("kfac-mc: T4 is violated", "T4 of kfac is violated", "a b: T1, error", "kfac: T5 is vacuous", "kfac: T40")
    found = [line.anchor for line in red_lines(document(cells=cells, red=5, reds=lines))]
    assert found == ["cell/kfac-mc/T4", "cell/kfac/T4", "cell/a%20b/T1", "conformance", "conformance"]


@pytest.mark.parametrize(("reds", "text"), [(("x",), "3 more"), ((), "4 results are red")])
def test_what_is_counted_but_not_named_is_said(reds: tuple[str, ...], text: str) -> None:
    assert red_lines(document(red=4, reds=reds))[-1] == RedLine("Claims by subjects", text, "conformance")
