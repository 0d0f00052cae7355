"""What changed in the conformance of subjects: what is worse is red, what is absent by choice is not."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.difference_change import Circumstances, Found
from fishergauge.reports.page.difference_conformance import RECORDS, by_records, conformance
from fishergauge.reports.page.matrix import cell_anchor
from fishergauge.reports.page.part import Part
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import write_records

SAME, OTHER = Circumstances(), Circumstances(same=False)


def cell(
    verdict: str = "holds", subject: str = "mine", claim: str = "T4", slack: float | None = 0.1, **counts: int
) -> dict[str, Any]:
    found = counts or {verdict.replace("-", "_"): 3}
    counted = {name.replace("_", "-"): count for name, count in found.items()}
    worst = {"problem": "mlp", "dtype": "float64", "verdict": verdict, "slack": slack, "reason": "half of it"}
    return {
        "subject": subject,
        "claim": claim,
        "verdict": verdict,
        "counts": counted,
        "checks": sum(counted.values()),
        "worst": worst,
    }


def part(*cells: Mapping[str, Any], origin: str = "yours", dtypes: tuple[str, ...] = ("float64",)) -> Part:
    names = dict.fromkeys(str(one["subject"]) for one in cells)
    subjects = [{"name": name, "origin": origin} for name in names]
    return Part("conformance", "Claims by subjects", "", {"dtypes": list(dtypes), "subjects": subjects, "cells": list(cells)})


def said(found: Found) -> list[tuple[str, str, str, bool]]:
    return [(change.kind, change.what, change.text, change.red) for change in found.changes]


def test_the_same_cells_are_no_change() -> None:
    found = conformance(part(cell(), cell(claim="T5")), part(cell(), cell(claim="T5")), SAME)
    assert found.changes == ()
    assert (found.compared, found.what) == (2, "cell")


@pytest.mark.parametrize(
    ("old", "new", "kind", "text", "red"),
    [
        (cell(), cell("violated"), "regression", "holds -> violated: half of it", True),
        (cell(), cell("expected"), "regression", "holds -> expected", True),
        (cell(), cell("unsupported"), "regression", "holds -> unsupported", True),
        (cell("violated"), cell("error"), "regression", "violated -> error: half of it", True),
        (cell("violated"), cell(), "improvement", "violated -> holds", False),
        (cell("expected"), cell("unsupported"), "changed", "expected -> unsupported", False),
        (cell(), cell("vacuous", holds=0), "regression", "holds -> vacuous", True),
        (cell("vacuous", holds=0), cell("violated"), "regression", "vacuous -> violated: half of it", True),
        (cell(holds=3), cell(holds=2), "vanished", "fewer checks: 3 holds -> 2 holds", True),
        (cell(holds=3), cell(holds=2, unsupported=1), "regression", "3 holds -> 2 holds, 1 unsupported", True),
        (
            cell("violated", violated=1, holds=2),
            cell("violated", violated=2, holds=1),
            "regression",
            "2 holds, 1 violated -> 1 holds, 2 violated",
            True,
        ),
        (
            cell("violated", violated=1, expected=2),
            cell("violated", violated=2, expected=1),
            "regression",
            "2 expected, 1 violated -> 1 expected, 2 violated",
            True,
        ),
        (
            cell("violated", violated=2, holds=1),
            cell("violated", violated=1, holds=2),
            "improvement",
            "1 holds, 2 violated -> 2 holds, 1 violated",
            False,
        ),
        (cell(holds=3), cell(holds=4), "new", "3 holds -> 4 holds", False),
        (cell(slack=0.01), cell(slack=0.2), "drift", "slack 0.01 -> 0.2 of the bound, above 10 times max(before, 1/64)", True),
    ],
)
def test_what_became_of_a_cell(old: dict[str, Any], new: dict[str, Any], kind: str, text: str, red: bool) -> None:
    assert said(conformance(part(old), part(new), SAME)) == [(kind, "mine T4", text, red)]


def test_slack_below_the_floor_is_no_drift() -> None:
    assert said(conformance(part(cell(slack=1e-9)), part(cell(slack=0.15)), SAME)) == []
    assert said(conformance(part(cell(slack=1e-9)), part(cell(slack=None)), SAME)) == []


def test_a_cell_of_a_subject_that_is_there_has_vanished_whatever_was_asked_for() -> None:
    old, new = part(cell(), cell(claim="T5")), part(cell())
    expected = [("vanished", "mine T5", "was holds", True)]
    assert said(conformance(old, new, SAME)) == said(conformance(old, new, OTHER)) == expected


def test_a_subject_that_is_gone_has_vanished_only_if_the_same_was_asked_for() -> None:
    old, new = part(cell(), cell(subject="other"), cell(subject="other", claim="T5")), part(cell())
    assert said(conformance(old, new, SAME)) == [("vanished", "other", "this subject is gone, with 2 claims", True)]
    (change,) = conformance(old, new, OTHER).changes
    assert (change.kind, change.red) == ("note", False)
    assert change.text == "other is not in this report, which was not asked for the same"


def test_a_new_subject_is_told_once_and_its_red_cells_are_red() -> None:
    found = conformance(part(cell()), part(cell(), cell(subject="other"), cell("violated", "other", "T5")), SAME)
    assert said(found) == [
        ("new", "other", "a subject that the earlier report does not have", False),
        ("new", "other T5", "violated: half of it", True),
    ]


def test_what_libraries_do_is_told_and_not_red() -> None:
    old, new = part(cell(), origin="library"), part(cell("violated"), origin="library")
    (change,) = conformance(old, new, SAME).changes
    assert (change.kind, change.red) == ("regression", False)


def test_other_dtypes_are_not_compared() -> None:
    found = conformance(part(cell()), part(cell("violated"), dtypes=("float32",)), SAME)
    assert [change.kind for change in found.changes] == ["note"]
    assert "not compared: checked in float64 before, in float32 now" in found.changes[0].text


def test_a_quick_run_is_not_compared_with_a_full_one() -> None:
    full, quick = part(cell()), part(cell("violated"))
    quick = replace(quick, data={**quick.data, "quick": True})
    for old, new in ((full, quick), (quick, full)):
        found = conformance(old, new, SAME)
        assert [(change.kind, change.red) for change in found.changes] == [("note", False)]
        assert found.compared == 0


def test_a_change_leads_to_its_cell_and_is_counted_there_if_it_is_red_there() -> None:
    old, new = part(cell(), cell(claim="T5")), part(cell("violated"), cell("expected", claim="T5"))
    first, second = conformance(old, new, SAME).changes
    assert first.anchor == cell_anchor("mine", "T4")
    assert (first.counted, second.counted) == (True, False)


@pytest.mark.parametrize("data", [{}, {"cells": "none"}, {"cells": [1, {}, {"subject": "mine", "claim": "T4"}]}])
def test_data_of_another_form_do_no_harm(data: dict[str, Any]) -> None:
    odd = Part("conformance", "", "", {"dtypes": ["float64"], **data})
    for old, new in ((odd, part(cell())), (part(cell()), odd), (odd, odd)):
        conformance(old, new, SAME)


def _folders(tmp_path: Path, old: list[Record], new: list[Record]) -> tuple[Path, Path]:
    folders = (tmp_path / "old", tmp_path / "new")
    for folder, records in zip(folders, (old, new), strict=True):
        (folder / RECORDS).parent.mkdir(parents=True)
        write_records(records, folder / RECORDS)
    return folders


def test_records_show_what_cells_cannot(tmp_path: Path) -> None:
    good = Record("mine", "T4", "mlp", measured=0.1, bound=1.0)
    bad = replace(good, problem="cnn", verdict="violated", reason="half of it")
    old, new = [good, bad], [replace(good, verdict="violated", reason="half of it"), replace(bad, verdict="holds")]
    found = by_records(part(cell()), part(cell()), _folders(tmp_path, old, new), SAME)
    assert found is not None
    assert said(found) == [
        ("regression", "mine T4@mlp[float64-cpu]", "holds -> violated: half of it", True),
        ("improvement", "mine T4@cnn[float64-cpu]", "violated -> holds", False),
    ]
    assert [change.anchor for change in found.changes] == [cell_anchor("mine", "T4")] * 2
    assert [change.counted for change in found.changes] == [True, False]


def test_records_of_a_quick_and_a_full_run_are_compared_where_they_meet(tmp_path: Path) -> None:
    common, only = Record("mine", "T4", "mlp"), Record("mine", "T4", "cnn", verdict="violated")
    folders = _folders(tmp_path, [common, only], [common])
    found = by_records(part(cell()), part(cell()), folders, replace(OTHER, common=True))
    assert found == Found((), 1, "check")
    vanished = by_records(part(cell()), part(cell()), folders, SAME)
    assert vanished is not None
    assert [change.kind for change in vanished.changes] == ["vanished"]


def test_records_of_other_subjects_are_noted_unless_they_were_asked_for(tmp_path: Path) -> None:
    mine, other = Record("mine", "T4", "mlp"), Record("other", "T4", "mlp")
    folders = _folders(tmp_path, [mine, other], [mine])
    found = by_records(part(cell()), part(cell()), folders, OTHER)
    assert found is not None
    assert [(change.kind, change.red) for change in found.changes] == [("note", False)]
    asked = by_records(part(cell()), part(cell()), folders, SAME)
    assert asked is not None
    assert said(asked) == [("vanished", "other", "this subject is gone, with 1 check", True)]


def test_records_of_a_new_subject_are_told_once(tmp_path: Path) -> None:
    mine, other = Record("mine", "T4", "mlp"), Record("other", "T4", "mlp")
    folders = _folders(tmp_path, [mine], [mine, other, replace(other, claim="T5", verdict="violated", reason="half of it")])
    found = by_records(part(cell()), part(cell()), folders, SAME)
    assert found is not None
    assert said(found) == [
        ("new", "other", "a subject that the earlier report does not have", False),
        ("new", "other T5@mlp[float64-cpu]", "violated: half of it", True),
    ]


def test_records_without_a_check_in_common_are_not_compared(tmp_path: Path) -> None:
    folders = _folders(tmp_path, [Record("mine", "T4", "mlp")], [Record("other", "T4", "mlp")])
    assert by_records(part(cell()), part(cell(subject="other")), folders, SAME) is None


def test_records_of_a_library_are_not_red(tmp_path: Path) -> None:
    good = Record("mine", "T4", "mlp")
    folders = _folders(tmp_path, [good], [replace(good, verdict="violated")])
    library = part(cell(), origin="library")
    found = by_records(library, library, folders, SAME)
    assert found is not None
    assert [(change.kind, change.red) for change in found.changes] == [("regression", False)]


def test_a_red_check_that_vanished_is_counted_nowhere_else(tmp_path: Path) -> None:
    good, bad = Record("mine", "T4", "mlp"), Record("mine", "T4", "cnn", verdict="violated")
    found = by_records(part(cell()), part(cell()), _folders(tmp_path, [good, bad], [good]), SAME)
    assert found is not None
    assert [(change.kind, change.counted, change.anchor) for change in found.changes] == [("vanished", False, "")]


def test_libraries_which_have_no_records_there_are_compared_by_cells(tmp_path: Path) -> None:
    folders = _folders(tmp_path, [Record("mine", "T4", "mlp")], [Record("mine", "T4", "mlp")])
    theirs, worse = cell(subject="kfac"), cell("violated", "kfac")
    found = by_records(part(theirs, origin="library"), part(worse, origin="library"), folders, SAME)
    assert found is not None
    assert said(found) == [("regression", "kfac T4", "holds -> violated: half of it", False)]


def test_without_records_there_is_no_comparison_of_them(tmp_path: Path) -> None:
    folders = _folders(tmp_path, [Record("mine", "T4", "mlp")], [Record("mine", "T4", "mlp")])
    (folders[0] / RECORDS).write_text("{")
    assert by_records(part(cell()), part(cell()), folders, SAME) is None
