"""What changed in the probes of large models: worse, vanished and dearer is red; circumstances and choices are not."""

from dataclasses import replace
from typing import Any

import pytest

from fishergauge.reports.page.difference_change import Circumstances, Found
from fishergauge.reports.page.difference_probes import probes
from fishergauge.reports.page.part import Part

SAME, OTHER = Circumstances(), Circumstances(same=False)
ROW = {"probe": "probe-exact", "verdict": "holds", "slack": 0.001, "reason": "", "witness": ""}
TABLE = {"subject": "mine", "problem": "mlp-1e6", "dtype": "float64", "device": "cpu", "products": 100, "peak_bytes": 1000}


def part(*rows: dict[str, Any], **changed: Any) -> Part:
    return Part("probes", "", "", {"tables": [{**TABLE, "rows": [dict(row) for row in rows or (ROW,)], **changed}]})


def said(found: Found) -> list[tuple[str, str, str, bool]]:
    return [(change.kind, change.what, change.text, change.red) for change in found.changes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"verdict": "violated", "witness": "1.5"}, [("regression", "holds -> violated: 1.5", True)]),
        ({"verdict": "violated"}, {}, [("improvement", "violated -> holds", False)]),
        ({"verdict": "not-claimed"}, {"verdict": "unsupported"}, [("changed", "not-claimed -> unsupported", False)]),
        ({}, {"slack": 0.2}, [("drift", "slack 0.001 -> 0.2 of the bound, above 10 times max(before, 1/64)", True)]),
        ({}, {"slack": 0.1}, []),
        ({"slack": 0.05}, {"slack": 0.4}, []),
    ],
)
def test_a_probe(old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, str, bool]]) -> None:
    found = probes(part({**ROW, **old}), part({**ROW, **new}), SAME)
    assert said(found) == [(kind, "probe-exact of mine on mlp-1e6", text, red) for kind, text, red in expected]
    assert (found.compared, found.what) == (1, "probe")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"products": 101}, [("cost", "products 100 -> 101", True)]),
        ({"products": 99}, [("improvement", "products 100 -> 99", False)]),
        ({"peak_bytes": 1051}, [("cost", "bytes at the peak 1,000 -> 1,051", True)]),
        ({"peak_bytes": 1050}, []),
        ({"peak_bytes": 950}, [("improvement", "bytes at the peak 1,000 -> 950", False)]),
    ],
)
def test_the_cost(changed: dict[str, Any], expected: list[tuple[str, str, bool]]) -> None:
    assert said(probes(part(), part(**changed), SAME)) == [(kind, "mine on mlp-1e6", text, red) for kind, text, red in expected]
    assert probes(part(), part(**changed), Circumstances(same_torch=False)).changes == ()


def test_another_seed_moves_a_slack() -> None:
    assert probes(part(), part({**ROW, "slack": 0.9}), Circumstances(same_seed=False)).changes == ()


def test_what_is_gone_and_what_is_new() -> None:
    psd = {**ROW, "probe": "probe-psd"}
    name = "probe-psd of mine on mlp-1e6"
    assert said(probes(part(ROW, psd), part(), SAME)) == [("vanished", name, "was holds", True)]
    assert said(probes(part(), part(ROW, psd), SAME)) == [("new", name, "holds", False)]
    red = {**psd, "verdict": "error", "reason": "it ends"}
    (change,) = probes(part(), part(ROW, red), SAME).changes
    assert (change.kind, change.text, change.red, change.counted) == ("new", "error: it ends", True, True)


def test_a_subject_or_a_problem_that_is_gone_as_a_whole() -> None:
    other = part(problem="resnet-1e6")
    both = replace(other, data={"tables": [*part().data["tables"], *other.data["tables"]]})
    gone = ("vanished", "mine on resnet-1e6", "is not probed any more", True)
    assert said(probes(both, part(), SAME)) == [gone]
    assert [(change.kind, change.red) for change in probes(both, part(), OTHER).changes] == [("note", False)]
    assert said(probes(part(), both, SAME)) == [("new", "mine on resnet-1e6", "the earlier report does not have it", False)]
    wrong = part({**ROW, "verdict": "violated"}, subject="yours")
    worse = replace(wrong, data={"tables": [*part().data["tables"], *wrong.data["tables"]]})
    assert said(probes(part(), worse, SAME)) == [("new", "probe-exact of yours on mlp-1e6", "violated", True)]
