"""Two runs compared: each rule turns the comparison red where it must, and leaves it green beside that."""

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given

from fishergauge.suites.baseline import FLOOR, KINDS, SEVERITY, BaselineError, compare
from fishergauge.suites.closeness import SAFETY
from fishergauge.suites.meta.random_records import runs
from fishergauge.suites.record import RED, VERDICTS, Record, Verdict

BASE = Record("mine", "T4", "mlp", measured=0.1, bound=1.0, flops=1000, versions={"torch": "2.13.0", "python": "3.11"})
OTHER = replace(BASE, claim="T5")


def changes(old: list[Record], new: list[Record], drift: float = 10.0) -> list[tuple[str, bool]]:
    """Kinds of the changes and whether they are red."""
    return [(change.kind, change.red) for change in compare(old, new, drift).changes]


@given(runs())
def test_a_run_compared_with_itself_shows_nothing(run: list[Record]) -> None:
    comparison = compare(run, run)
    assert comparison.changes == ()
    assert comparison.exit_code == 0
    assert "no change" in comparison.text()


@given(runs(), runs())
def test_what_is_red_decides_the_exit_code_and_every_check_is_accounted_for(old: list[Record], new: list[Record]) -> None:
    common = {record.key for record in old} & {record.key for record in new}
    if not common:
        with pytest.raises(BaselineError, match="nothing in common"):
            compare(old, new)
        old = [*old, replace(new[0], verdict="holds")]
        common = {new[0].key}
    comparison = compare(old, new)
    assert comparison.exit_code == int(any(change.red for change in comparison.changes))
    assert comparison.compared == len(common)
    assert comparison.counts["vanished"] == len(old) - len(common)
    assert comparison.counts["new"] == len(new) - len(common)
    assert sum(comparison.counts.values()) == len(comparison.changes)
    assert [KINDS.index(change.kind) for change in comparison.changes] == sorted(
        KINDS.index(c.kind) for c in comparison.changes
    )


WORSE: set[tuple[Verdict, Verdict]] = {
    *((old, new) for old, new in product(VERDICTS, VERDICTS) if new in RED and old not in RED),
    *(("holds", new) for new in ("unsupported", "not-claimed", "expected")),
    ("violated", "error"),
    ("unexpected", "error"),
    ("unexpected", "violated"),
}
SIDEWAYS = {"not-claimed", "unsupported", "expected"}


@pytest.mark.parametrize(("old", "new"), list(product(VERDICTS, VERDICTS)))
def test_every_change_of_a_verdict_is_a_regression_or_an_improvement_or_neither(old: Verdict, new: Verdict) -> None:
    found = changes([replace(BASE, verdict=old)], [replace(BASE, verdict=new)])
    if old == new:
        assert found == []
    elif (old, new) in WORSE:
        assert found == [("regression", True)]
    elif {old, new} <= SIDEWAYS:
        assert found == [("changed", False)]
    else:
        assert found == [("improvement", False)]


def test_every_verdict_has_its_place() -> None:
    assert set(SEVERITY) == set(VERDICTS)


def test_a_vanished_check_is_red() -> None:
    assert changes([BASE, OTHER], [BASE]) == [("vanished", True)]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_new_check_is_red_only_if_its_verdict_is(verdict: Verdict) -> None:
    assert changes([BASE], [BASE, replace(OTHER, verdict=verdict)]) == [("new", verdict in RED)]


@pytest.mark.parametrize(
    ("old", "new", "drifts"),
    [
        (0.05, 0.51, True),
        (0.05, 0.49, False),
        (0.5, 0.01, False),
        (1e-6, 1e-4, False),
        (1e-6, 0.15, False),
        (1e-6, 0.16, True),
        (0.0, 0.16, True),
        (0.0, 0.15, False),
        (None, 0.9, False),
        (1e-6, None, False),
    ],
)
def test_slack_may_grow_tenfold_but_not_more(old: float | None, new: float | None, drifts: bool) -> None:
    found = changes([replace(BASE, measured=old)], [replace(BASE, measured=new)])
    assert found == ([("drift", True)] if drifts else [])


def test_drift_is_of_checks_that_hold_and_its_factor_can_be_chosen() -> None:
    old, new = replace(BASE, measured=0.02), replace(BASE, measured=0.9)
    assert changes([old], [new]) == [("drift", True)]
    assert changes([old], [new], drift=50) == []
    assert changes([old], [replace(BASE, measured=0.05)], drift=2) == [("drift", True)]
    assert changes([replace(old, verdict="not-claimed")], [replace(new, verdict="not-claimed")]) == []
    assert changes([old], [replace(new, verdict="violated")]) == [("regression", True)]
    assert changes([replace(old, verdict="violated")], [new]) == [("improvement", False)]


def test_the_floor_is_the_bound_without_its_safety_factor() -> None:
    assert FLOOR == 1 / SAFETY


@pytest.mark.parametrize("drift", [1.0, 0.1, -10.0, math.nan, math.inf])
def test_a_factor_of_drift_that_makes_no_sense_is_refused(drift: float) -> None:
    with pytest.raises(BaselineError, match="the factor of drift is a number above 1"):
        compare([BASE], [BASE], drift)


def test_one_operation_more_is_red_and_one_less_is_not() -> None:
    assert changes([BASE], [replace(BASE, flops=1001)]) == [("cost", True)]
    assert changes([BASE], [replace(BASE, flops=999)]) == [("improvement", False)]
    assert changes([replace(BASE, flops=None)], [BASE]) == []
    assert "1000 -> 1001 operations (1.001 times), in 1 checks" in compare([BASE], [replace(BASE, flops=1001)]).text()
    assert "0 -> 5 operations, in" in compare([replace(BASE, flops=0)], [replace(BASE, flops=5)]).text()


def test_a_cost_that_many_checks_share_is_reported_once() -> None:
    old = [BASE, OTHER, replace(BASE, problem="cnn")]
    comparison = compare(old, [replace(record, flops=2000) for record in old])
    assert [str(change) for change in comparison.changes] == [
        "mine on mlp[float64-cpu]: 1000 -> 2000 operations (2 times), in 2 checks",
        "mine on cnn[float64-cpu]: 1000 -> 2000 operations (2 times), in 1 checks",
    ]


@pytest.mark.parametrize("flops", [999, 1001])
def test_cost_counted_by_another_torch_is_not_judged(flops: int) -> None:
    new = replace(BASE, flops=flops, versions={"torch": "2.14.0", "python": "3.11"})
    comparison = compare([BASE], [new])
    assert [(change.kind, change.red) for change in comparison.changes] == [("note", False), ("note", False)]
    assert "torch differs (2.13.0 -> 2.14.0) and may count otherwise" in comparison.text()
    python = replace(BASE, flops=flops, versions={"torch": "2.13.0", "python": "3.12"})
    assert changes([BASE], [python])[0] == (("cost", True) if flops > 1000 else ("improvement", False))


def test_circumstances_that_differ_are_noted_once() -> None:
    old = [BASE, OTHER]
    new = [replace(r, seed=3, flops=None, versions={"torch": "2.13.0", "scipy": "1.17"}) for r in old]
    comparison = compare(old, new)
    assert [str(change) for change in comparison.changes] == [
        "the seed differs (0 -> 3): data and draws differ, and slack with them",
        "the version of python differs: 3.11 -> not recorded",
        "the version of scipy differs: not recorded -> 1.17",
        "operations are no longer counted in 2 checks",
    ]
    assert comparison.text().splitlines()[-1] == "compared 2 checks: no change; nothing got worse"
    assert comparison.exit_code == 0


@pytest.mark.parametrize("field", ["subject", "claim", "problem", "dtype", "device"])
def test_runs_with_nothing_in_common_are_refused(field: str) -> None:
    with pytest.raises(BaselineError, match=r"nothing in common: no check of the baseline \(mine in float64 on cpu\)"):
        compare([BASE], [replace(BASE, **{field: "other"})])  # type: ignore[arg-type]


def test_runs_without_records_and_checks_that_occur_twice_are_refused() -> None:
    with pytest.raises(BaselineError, match=r"nothing in common: .*\(no records\)"):
        compare([], [BASE])
    with pytest.raises(BaselineError, match=r"new run \(no records\)"):
        compare([BASE], [])
    with pytest.raises(BaselineError, match=r"the baseline has mine T4@mlp\[float64-cpu\] twice"):
        compare([BASE, replace(BASE, seed=1)], [BASE])
    with pytest.raises(BaselineError, match="the new run has"):
        compare([BASE], [BASE, BASE])


def test_the_text_groups_what_changed_and_sums_it_up() -> None:
    red = replace(BASE, problem="rnn", verdict="error", reason="it raised")
    old = [BASE, OTHER, replace(BASE, problem="gone"), red]
    new = [replace(BASE, verdict="violated", reason="half of it"), replace(OTHER, flops=1), replace(BASE, problem="cnn"), red]
    comparison = compare(old, new)
    assert comparison.text().splitlines() == [
        "regressions (1)",
        "  red  mine T4@mlp[float64-cpu]: holds -> violated: half of it",
        "vanished checks (1)",
        "  red  mine T4@gone[float64-cpu]: was holds",
        "new checks (1)",
        "       mine T4@cnn[float64-cpu]: holds",
        "improvements (1)",
        "       mine on mlp[float64-cpu]: 1000 -> 1 operations (0.001 times), in 1 checks",
        "compared 3 checks: regressions 1, vanished checks 1, new checks 1, improvements 1; 1 red before and after; 2 red",
    ]
    assert comparison.exit_code == 1
