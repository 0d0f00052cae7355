"""The difference between two reports: what is red, what is a note, and never a false alarm."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.difference import COMPARED, Difference, difference
from fishergauge.reports.page.difference_request import Request, request_of
from fishergauge.reports.page.document import Document, read_document, write_document
from fishergauge.reports.page.example_document import example_document, large_document
from fishergauge.reports.page.part import Gap, Part, missing
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import write_records

CELL = {"subject": "mine", "claim": "T4", "verdict": "holds", "counts": {"holds": 3}, "checks": 3, "worst": {"slack": 0.1}}
COMMAND = "fishergauge report --subject my.py:subject --out report"


def conformance(**changed: Any) -> Part:
    subjects = [{"name": "mine", "origin": "yours"}]
    data = {"dtypes": ["float64"], "subjects": subjects, "cells": [{**CELL, **changed}]}
    return Part("conformance", "Claims by subjects", "", data)


def document(*parts: Part, command: str = COMMAND, quick: bool = False) -> Document:
    return Document("report", parts or (conformance(),), command, quick)


def kinds(found: Difference) -> list[tuple[str, str, bool]]:
    return [(change.part, change.kind, change.red) for change in found.changes]


def test_a_report_does_not_differ_from_itself() -> None:
    for one in (document(), example_document(), large_document(20, 5)):
        found = difference(one, one)
        assert found.changes == ()
        assert found.exit_code == 0
        assert found.compared["conformance"][0] > 0


def test_a_report_does_not_differ_from_what_is_read_again(tmp_path: Path) -> None:
    one = example_document()
    write_document(one, tmp_path)
    assert difference(read_document(tmp_path), one).changes == ()


def test_what_got_worse_is_red_and_said() -> None:
    found = difference(document(), document(conformance(verdict="violated", counts={"violated": 3})))
    assert kinds(found) == [("conformance", "regression", True)]
    assert found.exit_code == 1
    assert found.summary() == "1 change for the worse: 1 regressed. Compared: 1 cell."


def test_what_got_better_is_not_red() -> None:
    found = difference(document(conformance(verdict="violated", counts={"violated": 3})), document())
    assert kinds(found) == [("conformance", "improvement", False)]
    assert found.exit_code == 0
    assert found.summary() == "Nothing got worse: 1 improved. Compared: 1 cell."


def test_a_part_that_is_missing_has_vanished_if_it_was_asked_for() -> None:
    gone = missing("conformance", "Claims by subjects", "the whole part", "records.jsonl is damaged", "fishergauge report")
    found = difference(document(), document(gone))
    assert kinds(found) == [("conformance", "vanished", True)]
    assert found.changes[0].text == "nothing of it is there: the whole part: records.jsonl is damaged"
    assert found.summary() == "1 change for the worse: 1 vanished. Compared: nothing."
    assert kinds(difference(document(gone), document())) == [("conformance", "new", False)]
    assert difference(document(gone), document(gone)).changes == ()


@pytest.mark.parametrize(
    "command",
    [
        "fishergauge report --subject my.py:subject --parts paper",
        "fishergauge report --subject other.py:subject",
        "fishergauge report",
        "fishergauge report --subject my.py:subject --dtype float32",
        "fishergauge report --subject my.py:subject --problem-file problems.py",
    ],
)
def test_a_part_that_was_not_asked_for_is_a_note(command: str) -> None:
    empty = Document("report", (), command)
    assert kinds(difference(document(), empty)) == [("conformance", "note", False)]


def test_other_folders_titles_and_processes_ask_for_the_same() -> None:
    command = "fishergauge report --subject /somewhere/my.py:subject --out x --title T -j 2 --compare previous --fresh"
    assert kinds(difference(document(), Document("report", (), command))) == [("conformance", "vanished", True)]


def test_a_gap_that_was_not_there_is_a_note() -> None:
    partial = replace(conformance(), gaps=(Gap("records of mine", "the file is truncated"),))
    assert kinds(difference(document(), document(partial))) == [("conformance", "note", False)]
    assert difference(document(partial), document(partial)).changes == ()


def test_a_quick_report_is_not_compared_with_a_full_one() -> None:
    worse = document(conformance(verdict="violated", counts={"violated": 30}), quick=True)
    for old, new in ((document(), worse), (worse, document())):
        found = difference(old, new)
        assert kinds(found) == [("", "note", False)]
        assert "make both reports with the same options" in found.changes[0].text
        assert found.summary() == "Nothing could be compared."


def _folder(folder: Path, *records: Record) -> Path:
    (folder / "conformance").mkdir(parents=True)
    write_records(records, folder / "conformance" / "records.jsonl")
    return folder


def test_a_quick_report_is_compared_with_a_full_one_by_records(tmp_path: Path) -> None:
    common, only = Record("mine", "T4", "mlp"), Record("mine", "T4", "cnn")
    folders = (_folder(tmp_path / "old", common, only), _folder(tmp_path / "new", replace(common, verdict="violated")))
    found = difference(document(), document(quick=True), folders)
    assert kinds(found) == [("conformance", "regression", True), ("", "note", False)]


def test_records_are_compared_where_both_folders_have_them(tmp_path: Path) -> None:
    check = Record("mine", "T4", "mlp")
    folders = (_folder(tmp_path / "old", check), _folder(tmp_path / "new", replace(check, verdict="violated")))
    found = difference(document(), document(), folders)
    assert [change.what for change in found.changes] == ["mine T4@mlp[float64-cpu]"]
    assert found.compared == {"conformance": (1, "check")}
    same = difference(document(), document(conformance(verdict="violated")), (folders[1], folders[1]))
    assert [change.what for change in same.changes] == ["mine T4"]  # by cells: the folder holds the records of one run only


def test_a_subject_of_another_name_has_vanished(tmp_path: Path) -> None:
    folders = (_folder(tmp_path / "old", Record("mine", "T4", "mlp")), _folder(tmp_path / "new", Record("yours", "T4", "mlp")))
    found = difference(document(), document(conformance(subject="yours")), folders)
    assert kinds(found) == [("conformance", "vanished", True), ("conformance", "new", False)]


def test_another_title_is_a_note() -> None:
    found = difference(document(), replace(document(), title="other"))
    assert [(change.kind, change.text) for change in found.changes] == [("note", "report -> other")]


def test_red_changes_come_first() -> None:
    old = document(conformance(), Part("paper", "Claims", "", {"rows": []}))
    new = replace(document(conformance(verdict="violated")), title="other")
    assert [change.red for change in difference(old, new).changes] == [True, True, False]


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("value", [None, 3, "x", [], [[]], [None, 1, "x", {}], {"a": [{"b": 1}]}])
def test_data_of_another_version_raise_no_alarm_and_no_error(name: str, value: object) -> None:
    known = (
        "cells",
        "rows",
        "claims",
        "findings",
        "libraries",
        "wrong",
        "versions",
        "families",
        "problems",
        "subjects",
        "tables",
    )
    odd = Part(name, name, "", dict.fromkeys(known, value))
    for old, new in ((odd, odd), (odd, Part(name, name, "", {"other": 1}))):
        assert difference(document(old), document(new)).exit_code == 0


def test_data_that_cannot_be_compared_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no number")

    monkeypatch.setattr("fishergauge.reports.page.difference_paper.paper", fails)
    one = Part("paper", "Claims", "", {"groups": []})
    found = difference(document(one, conformance()), document(one, conformance()))
    assert kinds(found) == [("paper", "note", False)]
    assert found.compared["conformance"] == (1, "cell")


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        ("", Request()),
        ("fishergauge report --out x -j 2 --fresh", Request()),
        ("fishergauge report --subject a b --subject c", Request(frozenset({"a", "b", "c"}))),
        ("fishergauge report --parts paper,bench", Request(parts=frozenset({"paper", "bench"}))),
        ("fishergauge report --seed=3 --device cuda", Request(seed="3", device="cuda")),
        ("fishergauge report --subject 'not closed", Request(frozenset({"'not", "closed"}))),
        ("fishergauge report --seed", Request()),
    ],
)
def test_what_a_command_line_asks_for(command: str, request_: Request) -> None:
    assert request_of(Document("report", (), command)) == request_
