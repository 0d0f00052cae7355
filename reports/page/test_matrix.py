"""The table of subjects by claims, and its packed details."""

import json
from typing import Any

import pytest

from fishergauge.reports.page.cells_json import packed_cells
from fishergauge.reports.page.matrix import MOST_TOLD, cell_anchor, matrix, worst


def cell(subject: str, claim: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "claim": claim, "verdict": verdict, "counts": {verdict: 2, "holds": 5}, "checks": 7, **more}


def data(*cells: dict[str, Any], **origins: str) -> dict[str, Any]:
    """A part's data: subjects with their library, which is also their origin unless it is ``yours`` or ``fishergauge``."""
    kinds = {"yours": "yours", "fishergauge": "reference"}
    subjects = [{"name": name, "library": lib, "origin": kinds.get(lib, "library")} for name, lib in origins.items()]
    return {"subjects": subjects, "claims": [{"id": "T1"}, {"id": "T2"}], "cells": list(cells)}


def test_groups_stand_in_order_and_count_their_subjects_by_the_worst_verdict() -> None:
    cells = [cell("a", "T1", "violated"), cell("b", "T1", "violated"), cell("c", "T1", "holds"), cell("mine", "T2", "holds")]
    shown = matrix(data(*cells, a="zlib", ref="fishergauge", b="zlib", c="zlib", mine="yours", d="Alib"))
    assert [group["library"] for group in shown["groups"]] == ["yours", "fishergauge", "Alib", "zlib"]
    assert shown["groups"][3]["summary"] == [("violated", 2), None]
    assert shown["groups"][0]["summary"] == [None, ("holds", 1)]
    assert [subject["name"] for subject in shown["own"]] == ["mine", "ref"]
    assert [subject["red"] for subject in shown["groups"][3]["subjects"]] == [2, 2, 0]


def test_only_own_cells_that_do_not_simply_hold_are_told_and_the_worst_first() -> None:
    verdicts = ("expected", "not-claimed", "error", "unsupported", "violated", "holds", "unexpected")
    subjects = {f"s{n}": "yours" for n in range(len(verdicts))}
    cells = [cell(f"s{n}", "T1", verdict) for n, verdict in enumerate(verdicts)]
    shown = matrix(data(*cells, cell("theirs", "T1", "error"), theirs="lib", **subjects))
    assert [one["verdict"] for one in shown["told"]] == ["error", "violated", "unexpected", "expected"]
    assert shown["told"][0]["stated"]["id"] == "T1"


def test_very_many_cells_are_told_in_part_and_the_rest_is_counted() -> None:
    names = {f"s{n}": "yours" for n in range(MOST_TOLD + 3)}
    shown = matrix(data(*(cell(name, "T1", "violated") for name in names), **names))
    assert (len(shown["told"]), shown["untold"]) == (MOST_TOLD, 3)


def test_the_worst_of_unknown_verdicts_is_the_known_one() -> None:
    assert worst(["strange", "not-claimed"]) == "not-claimed"
    assert worst(["holds", "violated", "error"]) == "error"


def test_anchors_of_different_cells_differ_and_have_no_white_space() -> None:
    names = ["a b", "a%20b", "a/b", "a\nb", '"><img>', "***", "+++", "קירוב"]
    anchors = {cell_anchor(name, "T1") for name in names}
    assert len(anchors) == len(names)
    assert not any(character.isspace() or character in "\"'<>" for anchor in anchors for character in anchor)


def unpacked(packed: dict[str, Any], subject: int, claim: int) -> dict[str, Any]:
    """A cell of those that a subject has, read as the page's script reads it."""
    counts, checks, *more = packed["cells"][subject][claim]
    read = [(packed["kinds"][kind], packed["texts"][problem], numbers) for kind, problem, *numbers in checks]
    return {"counts": packed["counts"][counts], "checks": read, "more": more}


def test_details_survive_packing() -> None:
    check = {"problem": "mlp", "dtype": "float64", "verdict": "violated", "measured": 0.9171234, "bound": 3.14159e-13}
    check |= {
        "slack": 2.9193e12,
        "formula": "64 u",
        "witness": "w",
        "again": "fishergauge check a.py:s --claims T2 --problems mlp",
    }
    other = {"problem": "cnn", "verdict": "violated", "reason": "r", "notes": ["n1", "n1"]}
    packed = packed_cells(matrix(data(cell("s", "T2", "violated", worst=check, others=[other], more=4), s="yours")))
    found = unpacked(packed, 0, 0)
    assert found["counts"] == (0, 2, 0, 0, 0, 5)
    again = "fishergauge check a.py:s --claims \x02 --problems \x03"
    kind = ("float64", "violated", "64 u", "", "w", "", again)
    assert found["checks"][0] == (kind, "mlp", [0.917, 3.14e-13])
    assert found["checks"][1] == (("", "violated", "", "r", "", "", "", "", "", "n1", "n1"), "cnn", [])
    assert found["more"] == [4]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((0.5, 1.0, 0.5), [0.5, 1]),
        ((0.0, 0.0, 0.0), [0, 0, 0]),
        ((3.0, 0.0, None), [3, 0]),
        ((None, 2.0, None), [None, 2]),
        ((1.0, 3.0, 7.0), [1, 3, 7]),
        ((None, None, None), []),
    ],
)
def test_the_slack_is_kept_where_it_is_not_the_quotient(given: tuple[float | None, ...], kept: list[Any]) -> None:
    check = {"problem": "p", "verdict": "error", **dict(zip(("measured", "bound", "slack"), given, strict=True))}
    packed = packed_cells(matrix(data(cell("s", "T1", "error", worst=check), s="yours")))
    assert unpacked(packed, 0, 0)["checks"][0][2] == kept


def test_what_checks_have_in_common_is_packed_once() -> None:
    names = {f"s{n}": "lib" for n in range(30)}
    check = {"problem": "p", "verdict": "violated", "reason": "r" * 500}
    cells = [cell(name, "T1", "violated", worst={**check, "again": f"check {name} --claims T1"}) for name in names]
    packed = packed_cells(matrix(data(*cells, **names)))
    assert len(packed["kinds"]) == len(packed["counts"]) == 1


def test_a_command_is_opened_at_whole_words_only() -> None:
    check = {"problem": "p", "verdict": "error", "again": "check p.py:sp --claims T1 --problems p"}
    packed = packed_cells(matrix(data(cell("sp", "T1", "error", worst=check), sp="yours")))
    assert unpacked(packed, 0, 0)["checks"][0][0][6] == "check p.py:sp --claims \x02 --problems \x03"


def test_what_is_interesting_stays_where_there_is_little_room() -> None:
    check = {"problem": "p" * 400, "verdict": "holds", "measured": 0.5, "bound": 1.0, "slack": 0.5}
    red = {**check, "verdict": "violated"}
    cells = [cell(name, "T1", "violated", worst=red, others=[red], more=2) for name in ("theirs", "mine")]
    cells += [cell(name, "T2", "holds", worst=check) for name in ("theirs", "mine")]
    shown = matrix(data(*cells, theirs="lib", mine="yours"))
    full, tight = packed_cells(shown), packed_cells(shown, room=10)
    assert [len(packed) for packed in full["cells"][1]] == [3, 2]
    assert [len(packed) for packed in tight["cells"][1]] == [3, 1]
    assert (len(tight["cells"][1][0][1]), tight["cells"][1][0][2]) == (1, 3)
    assert tight["cells"][0] == full["cells"][0]
    json.dumps(full, allow_nan=False)
