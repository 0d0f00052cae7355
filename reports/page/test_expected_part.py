"""Expected failures on the page: which declaration excuses what, and what is known of libraries."""

import json
from pathlib import Path
from typing import Any

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.example_document import HOSTILE
from fishergauge.reports.page.expected_part import collect
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import render_html, render_markdown
from fishergauge.suites import Subject
from fishergauge.suites.expectations import Expectations
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import write_records

LINK = "https://example.org/issues/3"


def written(out: Path, records: list[Record], entries: list[dict[str, str]], **more: Any) -> Part:
    """A folder with these records and declarations of one subject, collected."""
    (out / "conformance").mkdir(exist_ok=True)
    write_records(records, out / "conformance" / "records.jsonl")
    content = {"schema": 1, "subjects": [{"name": "mine", "expected": entries, **more}]}
    (out / "conformance" / "subjects.json").write_text(json.dumps(content))
    return collect(out)


def peers(out: Path, *findings: dict[str, Any]) -> Part:
    """A folder with these findings of libraries, collected."""
    (out / "peers").mkdir(exist_ok=True)
    (out / "peers" / "peers.json").write_text(json.dumps({"schema": 1, "findings": findings}))
    return collect(out)


def red(claim: str, problem: str) -> Record:
    return Record("mine", claim, problem, verdict="violated", measured=2.0, bound=1.0)


def judged(reasons: dict[str, str], *records: Record) -> list[Record]:
    """Records as a run judges them."""
    subject = Subject("mine", lambda problem: problem, expected_failures=reasons)
    return list(Expectations.load(subject).apply(records)[0])


def test_each_declaration_has_the_checks_that_it_excuses(tmp_path: Path) -> None:
    reasons = {"T4@mlp": "only here", "bias-block-*@*": "the bias is apart", "T5@*": "no such thing"}
    records = judged(reasons, red("T4", "mlp"), red("T4", "cnn"), red("T4", "rnn"), red("T6", "mlp"), Record("mine", "T5", "a"))
    entries = [
        {"claim": "T4", "problem": "mlp", "reason": "only here", "issue": LINK, "expires": "2031-01-31"},
        {"claim": "bias-block-*", "reason": "the bias is apart", "issue": "#4"},
        {"claim": "T5", "problem": "*", "reason": "no such thing"},
    ]
    part = written(tmp_path, records, entries)
    first, second, third = part.data["declared"]
    assert (first["checks"], first["problems"], first["claims"]) == (1, 1, ["T4"])
    assert (first["link"], first["expires"]) == (LINK, "2031-01-31")
    assert (second["checks"], second["problem"], second["link"], second["issue"]) == (2, "*", "", "#4")
    assert (third["checks"], third["claims"]) == (0, [])
    assert part.summary == "3 declarations of 1 subject excuse 3 violated checks."
    assert (part.red, part.gaps, part.status) == (0, (), "complete")


def test_checks_without_a_declaration_are_shown_with_their_reason(tmp_path: Path) -> None:
    records = judged({"T4@*": "the bias is apart"}, red("T4", "mlp"), red("T4", "cnn"))
    part = written(tmp_path, records, [])
    (row,) = part.data["declared"]
    assert (row["subject"], row["claim"], row["problem"]) == ("mine", "T4", "*")
    assert (row["checks"], row["reason"]) == (2, "the bias is apart")
    other = written(tmp_path, records, [{"claim": "T4", "problem": "*", "reason": "something else"}])
    assert [row["checks"] for row in other.data["declared"]] == [0, 2]


def test_declarations_that_are_out_of_date_are_named(tmp_path: Path) -> None:
    part = written(tmp_path, [red("T4", "mlp")], [], complaints=["entry 1: expired on 2001-01-31"])
    assert part.data["complaints"] == [{"subject": "mine", "text": "entry 1: expired on 2001-01-31"}]
    assert part.summary == "No subject declares an expected failure."
    assert "expired on 2001-01-31" in render_html(Document("", (part,)), tmp_path)
    assert "Out of date: mine: entry 1: expired" in render_markdown(Document("", (part,)))


def test_findings_of_libraries_are_counted(tmp_path: Path) -> None:
    part = peers(
        tmp_path,
        {"id": "b_two", "library": "b", "title": "two", "kind": "defect", "cells": 2, "subjects": ["b/x"], "upstream": LINK},
        {
            "id": "a_one",
            "library": "a",
            "title": "one\n line",
            "cells": 1,
            "subjects": ["a/x", "a/y"],
            "upstream": "javascript:1",
        },
        {"id": "b_zen", "library": "b", "title": "zen", "cells": 10, "subjects": []},
        {"id": "b_none", "library": "b", "title": "none", "cells": 0},
    )
    assert [(row["id"], row["checks"], row["subjects"]) for row in part.data["findings"]] == [
        ("a_one", 1, 2),
        ("b_zen", 10, 0),
        ("b_two", 2, 1),
    ]
    assert [row["link"] for row in part.data["findings"]] == ["", "", LINK]
    assert part.data["libraries"] == [
        {"library": "a", "findings": 1, "checks": 1},
        {"library": "b", "findings": 2, "checks": 12},
    ]
    assert part.summary == "No subject declares an expected failure. In 2 libraries 13 checks are red for 3 known reasons."
    assert 'href="#peers-a-one"' in render_html(Document("", (part,)), tmp_path)


def test_what_is_not_there_is_missing_and_what_is_damaged_a_gap(tmp_path: Path) -> None:
    assert collect(tmp_path).status == "missing"
    written(tmp_path, [red("T4", "mlp")], [])
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "peers.json").write_text("{")
    part = collect(tmp_path)
    assert part.status == "partial"
    assert "peers/peers.json is damaged" in part.gaps[0].why
    (tmp_path / "conformance" / "subjects.json").write_text(
        '{"schema": 1, "subjects": [{"name": "mine", "expected": [7, {}]}]}'
    )
    assert collect(tmp_path).data["declared"][0]["checks"] == 0
    strange = {"claim": "T4", "reason": "r", "expires": "tomorrow"}
    assert written(tmp_path, [red("T4", "mlp")], [strange]).data["declared"][0]["expires"] == ""


def test_foreign_text_is_shown_as_text(tmp_path: Path) -> None:
    entries = [{"claim": "T4", "problem": text, "reason": text, "issue": text} for text in HOSTILE]
    peers(tmp_path, *({"id": text, "library": text, "title": text, "kind": text, "cells": 1} for text in HOSTILE))
    part = written(tmp_path, [red("T4", "mlp")], entries, name="<i>mine", complaints=list(HOSTILE))
    html, markdown = render_html(Document("", (part,)), tmp_path), render_markdown(Document("", (part,)))
    body = html.partition('id="expected"')[2]
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "<i>mine" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "{{ 7*7 }}" in body
    assert "<script>" not in markdown
    assert "<img" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| &lt;i&gt;mine")]
    assert len(rows) == len(HOSTILE)
