"""What changed in the paper's ledger and in the spectrum: a verdict that is worse or gone is red, a choice is not."""

from dataclasses import replace
from typing import Any

import pytest

from fishergauge.reports.page.difference_change import Circumstances, Found
from fishergauge.reports.page.difference_paper import paper
from fishergauge.reports.page.difference_spectrum import spectrum
from fishergauge.reports.page.part import Part

SAME, OTHER = Circumstances(), Circumstances(same=False)


def said(found: Found) -> list[tuple[str, str, str, bool]]:
    return [(change.kind, change.what, change.text, change.red) for change in found.changes]


def ledger(*claims: dict[str, Any], remark: str = "") -> Part:
    known = {"id": "E1.1", "experiment": "e1", "data": "wine", "verdict": "confirmed", "condition": "", "reason": "as it is"}
    known |= {"as_published": "0.5", "as_it_should_be": "0.4"}
    groups = [{"name": "paper", "claims": [{**known, **claim} for claim in claims or ({},)]}]
    return Part("paper", "", "", {"remarks": [remark] if remark else [], "groups": groups})


@pytest.mark.parametrize(
    ("changed", "about", "kind", "text", "red"),
    [
        ({"verdict": "refuted"}, SAME, "changed", "confirmed -> refuted: as it is", True),
        (
            {"verdict": "refuted"},
            replace(SAME, same_torch=False),
            "changed",
            "confirmed -> refuted; torch differs: as it is",
            False,
        ),
        (
            {"verdict": "refuted", "timed_as_published": "1"},
            SAME,
            "changed",
            "confirmed -> refuted; it rests on times: as it is",
            False,
        ),
        (
            {"verdict": "confirmed only if", "condition": "n is large"},
            SAME,
            "changed",
            "confirmed -> confirmed only if n is large: as it is",
            True,
        ),
        ({"condition": "n > 3"}, SAME, "changed", "confirmed -> confirmed n > 3", False),
        ({"as_it_should_be": "0.3"}, SAME, "note", "measured as it should be: 0.4 -> 0.3", False),
    ],
)
def test_a_claim_of_the_paper(changed: dict[str, Any], about: Circumstances, kind: str, text: str, red: bool) -> None:
    found = paper(ledger(), ledger(changed), about)
    assert said(found) == [(kind, "E1.1 on wine", text, red)]
    assert found.changes[0].anchor == "paper-e1.1-wine"


def test_claims_that_came_and_went() -> None:
    old, new = ledger({}, {"id": "E1.2"}, {"id": "E2.1", "experiment": "e2"}), ledger({}, {"id": "E1.3", "verdict": "refuted"})
    gone = ("vanished", "E1.2 on wine", "was confirmed", True)
    come = ("new", "E1.3 on wine", "refuted", False)
    assert said(paper(old, new, SAME)) == [gone, ("vanished", "E2.1 on wine", "was confirmed", True), come]
    note = ("note", "", "e2: not in this report, which was not asked for the same", False)
    assert said(paper(old, new, OTHER)) == [gone, note, come]


def test_a_quick_ledger_is_not_compared_with_a_full_one() -> None:
    found = paper(ledger(remark="A quick run, with fewer seeds."), ledger({"verdict": "refuted"}), SAME)
    assert [(change.kind, change.red) for change in found.changes] == [("note", False)]


MARKS = {
    "=": "invariant",
    "~": "first order",
    "x": "not invariant",
    "?": "not decidable",
    "-": "unsupported",
    "!": "contradicted",
}


def measured_marks(*marks: str, name: str = "kfac", reach: str = "1e4", models: tuple[str, ...] = ("mlp",)) -> Part:
    families = ["affine", "dense"][: len(marks)]
    rows = [[name, "affine", reach, "4e-8", "1e7"]]
    section = {"title": "The condition number at which it breaks", "rows": rows}
    data = {
        "families": families,
        "range": {"models": list(models)},
        "marks": [{"mark": mark, "meaning": meaning} for mark, meaning in MARKS.items()],
        "matrix": [{"name": name, "cells": [{"mark": mark} if mark else {} for mark in marks]}],
        "sections": [{**section, "head": ["approximation", "family", "holds to", "measured", "breaks"]}],
    }
    return Part("spectrum", "", "", data)


@pytest.mark.parametrize(
    ("old", "new", "kind", "text", "red", "elsewhere"),
    [
        ("=", "!", "regression", "invariant -> contradicted", True, True),
        ("=", "~", "regression", "invariant -> first order", True, False),
        ("=", "x", "regression", "invariant -> not invariant", True, False),
        ("=", "-", "regression", "invariant -> unsupported", True, False),
        ("x", "=", "improvement", "not invariant -> invariant", False, False),
        ("!", "-", "improvement", "contradicted -> unsupported", False, False),
        ("?", "-", "changed", "not decidable -> unsupported", False, False),
        ("=", "", "vanished", "was measured, is gone", True, False),
        ("", "!", "new", "contradicted", True, True),
        ("", "=", "new", "invariant", False, False),
    ],
)
def test_spectrum(old: str, new: str, kind: str, text: str, red: bool, elsewhere: bool) -> None:
    found = spectrum(measured_marks("=", old), measured_marks("=", new), SAME)
    assert said(found) == [(kind, "kfac under dense", text, red)]
    assert (found.changes[0].anchor, found.changes[0].counted) == ("" if kind == "vanished" else "spectrum-kfac", elsewhere)


def test_another_torch_may_round_otherwise() -> None:
    about = replace(SAME, same_torch=False)
    for new, red in ((measured_marks("?"), False), (measured_marks("!"), True), (measured_marks("=", reach="1e2"), False)):
        assert [change.red for change in spectrum(measured_marks("="), new, about).changes] == [red]


@pytest.mark.parametrize(
    ("before", "after", "kind"), [("1e4", "100", "regression"), ("1e4", "-", "regression"), ("1e4", "1e7", "improvement")]
)
def test_how_far_invariance_holds(before: str, after: str, kind: str) -> None:
    found = spectrum(measured_marks("=", reach=before), measured_marks("=", reach=after), SAME)
    text = f"holds to condition number {before} -> {after}"
    assert said(found) == [(kind, "kfac under affine", text, kind == "regression")]


def test_an_approximation_that_is_gone_and_other_models() -> None:
    old, new = measured_marks("=", "x"), measured_marks("=", "x", name="mine")
    assert [(change.kind, change.red) for change in spectrum(old, new, SAME).changes][:2] == [("vanished", True)] * 2
    note, *come = spectrum(old, new, OTHER).changes
    assert (note.kind, note.text) == ("note", "kfac: not in this report, which was not asked for the same")
    assert [change.kind for change in come] == ["new", "new"]
    other = spectrum(old, measured_marks("!", "!", models=("cnn",)), SAME)
    assert [(change.kind, change.red) for change in other.changes] == [("note", False)]
