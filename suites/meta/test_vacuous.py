"""A claim that nothing examined: whom it is held against, by either door."""

import pytest

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.gathering import Gathered
from fishergauge.suites.record import Record
from fishergauge.suites.report import vacuous_claims

EMPTY = Record("mine", "T16", "mlp", verdict="not-claimed", reason="nothing to measure here: rounding explains it")
REFUSED = Record("mine", "T16", "mlp", verdict="unsupported", reason="NotImplementedError: no")
HELD = Record("mine", "T16", "mlp", measured=0.0, bound=1.0)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("records", "always"), [([EMPTY], False), ([REFUSED], True), ([], True)])
def test_what_is_empty_by_the_kits_own_account_counts_only_if_asked_for(
    records: list[Record], always: bool, named: bool
) -> None:
    assert bool(vacuous_claims([CLAIMS["T16"]], records, named)) == (always or named)
    assert not vacuous_claims([CLAIMS["T16"]], [*records, HELD], named)


@pytest.mark.parametrize("named", [False, True])
def test_the_pytest_doors_judge_as_the_command_line_does(named: bool) -> None:
    suite = {
        "subject": "mine",
        "demanded": ["T16"],
        "planned": [list(EMPTY.key[1:])],
        "expected": [],
        "left_out": [],
        "named": named,
    }
    gathered = Gathered.__new__(Gathered)
    gathered.records = [EMPTY]
    assert len(gathered._judged(suite)) == named
