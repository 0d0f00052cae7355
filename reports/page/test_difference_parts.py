"""What changed in the other parts: worse, vanished and dearer is red; circumstances and choices are not."""

from dataclasses import replace
from typing import Any

import pytest

from fishergauge.reports.page.difference_accuracy import accuracy
from fishergauge.reports.page.difference_change import Circumstances, Found
from fishergauge.reports.page.difference_environment import environment
from fishergauge.reports.page.difference_expected import expected
from fishergauge.reports.page.difference_peers import peers
from fishergauge.reports.page.part import Part

SAME, OTHER = Circumstances(), Circumstances(same=False)


def said(found: Found) -> list[tuple[str, str, str, bool]]:
    return [(change.kind, change.what, change.text, change.red) for change in found.changes]


def measured(approximation: str = "kfac", **changed: Any) -> dict[str, Any]:
    row = {"approximation": approximation, "outcome": "measured", "distance": 0.5, "flops": 1000, "stored": 10}
    return {**row, **changed}


def accurate(*rows: dict[str, Any], name: str = "mlp", **data: Any) -> Part:
    done, undone = ([row for row in rows if (row["outcome"] == "measured") == was] for was in (True, False))
    return Part("accuracy", "", "", {"problems": [{"name": name, "rows": done, "not_measured": undone}], **data})


@pytest.mark.parametrize(
    ("old", "new", "kind", "text", "red"),
    [
        ({}, {"distance": 0.53}, "regression", "distance from the Fisher 0.5 -> 0.53", True),
        ({}, {"distance": 0.4}, "improvement", "distance from the Fisher 0.5 -> 0.4", False),
        ({"distance": 1e-15}, {"distance": 1e-10}, "regression", "distance from the Fisher 1e-15 -> 1e-10", True),
        ({"step_error": 0.1}, {"step_error": 0.2}, "regression", "error of the step 0.1 -> 0.2", True),
        ({}, {"flops": 1001}, "cost", "FLOPs 1,000 -> 1,001", True),
        ({}, {"flops": 999}, "improvement", "FLOPs 1,000 -> 999", False),
        ({}, {"stored": 11}, "cost", "stored numbers 10 -> 11", True),
        ({}, {"flops": None}, "vanished", "FLOPs are not counted any more", True),
        ({}, {"distance": None}, "vanished", "distance from the Fisher was 0.5, is not measured any more", True),
        ({}, {"outcome": "refused", "reason": "no conv"}, "regression", "measured -> refused: no conv", True),
        ({"outcome": "error"}, {"outcome": "refused"}, "improvement", "error -> refused", False),
    ],
)
def test_accuracy(old: dict[str, Any], new: dict[str, Any], kind: str, text: str, red: bool) -> None:
    found = accuracy(accurate(measured(**old)), accurate(measured(**new)), SAME)
    assert said(found) == [(kind, "kfac on mlp", text, red)]


@pytest.mark.parametrize("after", [0.52, 0.48])
def test_a_distance_that_hardly_moves_is_no_change(after: float) -> None:
    assert accuracy(accurate(measured()), accurate(measured(distance=after)), SAME) == Found((), 1, "measurement")


@pytest.mark.parametrize(("before", "after"), [(1e-17, 9e-12), (2e-12, 1.9e-11), (0.0, 1e-12), (9e-12, 1e-17)])
def test_rounding_is_no_change(before: float, after: float) -> None:
    assert said(accuracy(accurate(measured(distance=before)), accurate(measured(distance=after)), SAME)) == []


def test_other_seeds_and_another_torch_raise_no_alarm() -> None:
    old, new = accurate(measured()), accurate(measured(distance=0.9, flops=2000))
    found = accuracy(old, new, Circumstances(same_seed=False, same_torch=False))
    assert [(change.kind, change.red) for change in found.changes] == [("note", False), ("note", False)]


def test_a_measurement_that_is_gone() -> None:
    old, new = accurate(measured(), measured("mine")), accurate(measured())
    assert said(accuracy(old, new, SAME)) == [("vanished", "mine on mlp", "was measured", True)]
    assert [(change.kind, change.red) for change in accuracy(old, new, OTHER).changes] == [("note", False)]
    both = {"problems": [*accurate(measured()).data["problems"], *accurate(measured("mine"), name="cnn").data["problems"]]}
    within = accuracy(replace(old, data=both), replace(old, data={"problems": [both["problems"][0]]}), OTHER)
    assert [(change.kind, change.red) for change in within.changes] == [("note", False)]
    some = accurate(measured(), measured("mine"))
    less = {"problems": [*accurate(measured()).data["problems"], *accurate(measured("mine"), name="cnn").data["problems"]]}
    partly = {"problems": [*some.data["problems"], *accurate(measured("mine"), name="cnn").data["problems"]]}
    assert said(accuracy(replace(old, data=partly), replace(old, data=less), OTHER)) == [
        ("vanished", "mine on mlp", "was measured", True)
    ]


def test_a_new_measurement_is_red_only_if_it_failed() -> None:
    new = accurate(measured(), measured("a"), measured("b", outcome="error", reason="no"))
    found = accuracy(accurate(measured()), new, SAME)
    assert said(found) == [("new", "a on mlp", "measured", False), ("new", "b on mlp", "error: no", True)]
    assert [change.counted for change in found.changes] == [False, True]


def test_a_quick_measurement_is_not_compared() -> None:
    found = accuracy(accurate(measured(), quick=True), accurate(measured(flops=9999), quick=False), SAME)
    assert [(change.kind, change.red) for change in found.changes] == [("note", False)]


def libraries(**changed: Any) -> Part:
    data = {
        "findings": [{"id": "a-1", "title": "wrong scale", "seen": 4}, {"id": "b-1", "title": "crash", "seen": None}],
        "libraries": [{"library": "a", "state": "run", "ran_with": "1.0"}, {"library": "b", "state": "not run"}],
        "wrong": [{"status": "new", "subject": "a/kfac", "claim": "T4", "finding": "a-1", "cells": 2, "on": "mlp, cnn"}],
    }
    return Part("peers", "", "", {**data, **changed})


@pytest.mark.parametrize(
    ("changed", "kind", "what", "text", "red"),
    [
        ({"findings": []}, "changed", "a-1", "no longer in the ledger: wrong scale", False),
        ({"wrong": []}, "improvement", "a/kfac T4", "new: 2 -> 0 cells that contradict the ledger", False),
        ({"libraries": []}, "vanished", "a", "was run, is gone", True),
    ],
)
def test_peers(changed: dict[str, Any], kind: str, what: str, text: str, red: bool) -> None:
    assert (kind, what, text, red) in said(peers(libraries(), libraries(**changed), SAME))


def test_peers_that_get_worse() -> None:
    found = peers(libraries(findings=[], wrong=[]), libraries(), SAME)
    assert said(found) == [
        ("new", "a-1", "a new finding: wrong scale", False),
        ("new", "b-1", "a new finding: crash", False),
        ("regression", "a/kfac T4", "new: 0 -> 2 cells that contradict the ledger (mlp, cnn)", True),
    ]
    assert found.changes[0].anchor == "peers-a-1"
    assert found.changes[2].counted


def test_fewer_contradictions_are_an_improvement() -> None:
    fewer = libraries(wrong=[{"status": "new", "subject": "a/kfac", "claim": "T4", "finding": "a-1", "cells": 1, "on": "mlp"}])
    expected = [("improvement", "a/kfac T4", "new: 2 -> 1 cell that contradict the ledger", False)]
    assert said(peers(libraries(), fewer, SAME)) == expected
    assert [change.kind for change in peers(fewer, libraries(), SAME).changes] == ["regression"]


def test_peers_that_show_less_or_were_not_run() -> None:
    fewer = libraries(findings=[{"id": "a-1", "title": "wrong scale", "seen": 0}, {"id": "b-1", "title": "crash", "seen": 3}])
    assert said(peers(libraries(), fewer, SAME)) == [("improvement", "a-1", "shows no more: 4 -> 0 red cells", False)]
    other = libraries(libraries=[{"library": "a", "state": "not run"}, {"library": "b", "state": "run"}])
    assert said(peers(libraries(), other, OTHER)) == [
        ("note", "a", "was run, is not run", False),
        ("new", "b", "was not run, is run now", False),
    ]
    updated = libraries(libraries=[{"library": "a", "state": "run", "ran_with": "2.0"}])
    assert ("note", "a", "version 1.0 -> 2.0", False) in said(peers(libraries(), updated, SAME))


def declared(*rows: tuple[str, int], complaints: tuple[str, ...] = ()) -> Part:
    entries = [{"subject": "mine", "claim": "T4", "problem": "cnn-*", "reason": why, "checks": n} for why, n in rows]
    return Part(
        "expected", "", "", {"declared": entries, "complaints": [{"subject": "mine", "text": one} for one in complaints]}
    )


def test_expected_failures() -> None:
    old, new = declared(("known", 2), ("mended", 1)), declared(("known", 3), ("added", 1), complaints=("has expired",))
    found = expected(old, new, SAME)
    assert said(found) == [
        ("changed", "mine T4@cnn-*", "excuses 2 -> 3 checks", False),
        ("new", "mine T4@cnn-*", "declared to fail: added", False),
        ("changed", "mine T4@cnn-*", "not declared to fail any more: mended", False),
        ("regression", "mine", "has expired", True),
    ]
    assert found.changes[-1].counted
    assert said(expected(new, new, SAME)) == []
    assert said(expected(new, replace(new, data={**new.data, "complaints": []}), SAME)) == [
        ("improvement", "mine", "no longer so: has expired", False)
    ]


def versions(**found: list[str]) -> Part:
    return Part("environment", "", "", {"versions": [{"name": name, "versions": own} for name, own in found.items()]})


def test_versions_are_noted() -> None:
    old = versions(torch=["2.13", "", "2.13"], numpy=["2.4"], scipy=["1.17"])
    new = versions(torch=["2.14", "2.14"], numpy=["2.4", "2.4"], pandas=["3"])
    assert said(environment(old, new, SAME)) == [
        ("note", "torch", "2.13 -> 2.14", False),
        ("note", "1 package", "no longer recorded: scipy", False),
        ("note", "1 package", "recorded now: pandas", False),
    ]
