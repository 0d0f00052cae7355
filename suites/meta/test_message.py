"""The texts of messages and of the table."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fishergauge.suites.message import message, messages
from fishergauge.suites.record import Record
from fishergauge.suites.table import likely, not_claimed, notes, report_text, summary, table
from fishergauge.suites.wording import WIDTH, number

CLAIMS = cast(
    Any,
    {
        "T4": SimpleNamespace(
            name="bias-block-exact",
            statement="the bias block of K-FAC equals the exact one",
            source="Martens and Grosse 2015, sec. 3",
        ),
        "T8": SimpleNamespace(name="deep-linear-exact", statement="K-FAC is exact for deep linear networks", source="a paper"),
    },
)
VIOLATED = Record(
    "my-kfac",
    "T4",
    "mlp-tanh-softmax",
    seed=3,
    verdict="violated",
    measured=0.9166,
    bound=3.1e-13,
    formula="64 u sqrt(P)",
    witness="layers.0.bias: ratio to the exact block 0.0833 = 1/12 in every entry",
    nearest='planted defect D1 "gradients of the mean loss squared" (relative distance 4e-16; next: 0.3)',
    again="fishergauge check my.py:subject --claims T4 --problems mlp-tanh-softmax --seed 3",
)


def test_a_violated_check_says_what_the_design_asks_for() -> None:
    assert message(VIOLATED, CLAIMS).splitlines() == [
        "violated  T4 bias-block-exact   my-kfac on mlp-tanh-softmax (float64, cpu, seed 3)",
        "  claimed   the bias block of K-FAC equals the exact one            Martens and Grosse 2015, sec. 3",
        "  measured  0.917      bound 3.1e-13 = 64 u sqrt(P)                 3e12 times over",
        "  witness   layers.0.bias: ratio to the exact block 0.0833 = 1/12 in every entry",
        '  nearest   planted defect D1 "gradients of the mean loss squared" (relative distance 4e-16; next: 0.3)',
        "  again     fishergauge check my.py:subject --claims T4 --problems mlp-tanh-softmax --seed 3",
    ]


def test_no_line_is_too_wide_and_a_broken_command_can_be_pasted() -> None:
    again = "fishergauge check " + " ".join(f"--option-{i} {'x' * 20}" for i in range(8))
    record = Record("s" * 30, "T4", "p" * 30, verdict="violated", measured=1.0, bound=0.5, reason="word " * 60, again=again)
    lines = message(record, CLAIMS).splitlines()
    assert max(map(len, lines)) <= WIDTH
    first = next(i for i, line in enumerate(lines) if line.startswith("  again"))
    assert len(lines) - first > 1
    assert " ".join("\n".join(lines[first:]).replace("\\\n", " ").split()[1:]) == again


def test_a_statement_that_leaves_no_room_puts_the_source_below() -> None:
    claims = cast(Any, {"T4": SimpleNamespace(name="n", statement="long " * 20, source="the source")})
    assert "            the source" in message(VIOLATED, claims).splitlines()


@pytest.mark.parametrize(
    ("value", "text"), [(float("inf"), "inf"), (float("nan"), "nan"), (1e-300, "1e-300"), (12345.6, "1.23e4"), (0.0, "0")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("measured", "bound"), [(float("nan"), 1e-3), (1.0, 0.0), (None, None)])
def test_a_measurement_without_a_ratio_has_no_times_over(measured: float | None, bound: float | None) -> None:
    record = Record("s", "T4", "p", verdict="violated", measured=measured, bound=bound)
    assert "times over" not in message(record, CLAIMS)


def _errors(count: int, reason: str = "ValueError: shape ({0}, {0}) on {1}") -> list[Record]:
    names = [f"problem-{i}" for i in range(count)]
    return [Record("s", "T4", name, verdict="error", reason=reason.format(i, name)) for i, name in enumerate(names)]


def test_one_cause_is_said_once_with_its_number_and_the_first_three_names() -> None:
    texts = messages(_errors(40), CLAIMS)
    assert len(texts) == 1
    assert "also      on 39 more problems: problem-1, problem-2, problem-3 and 36 more" in texts[0]
    assert len(messages(_errors(40), CLAIMS, full=True)) == 40


def test_two_causes_are_said_twice() -> None:
    assert len(messages(_errors(3) + _errors(3, "ZeroDivisionError"), CLAIMS)) == 2
    other = Record("s", "T8", "p", verdict="violated", measured=1.0, bound=0.5)
    assert len(messages([VIOLATED, VIOLATED, other], CLAIMS)) == 2


def test_verdicts_that_fail_come_last_and_only_those_asked_for_are_said() -> None:
    refused = Record("s", "T4", "p", verdict="unsupported", reason="no convolutions")
    texts = messages([VIOLATED, refused, Record("s", "T4", "q")], CLAIMS)
    assert [text.split()[0] for text in texts] == ["unsupported", "violated"]
    assert "reason    no convolutions" in texts[0]
    assert messages([VIOLATED, refused], CLAIMS, verdicts=("error",)) == []


def test_the_table_counts_by_claim_and_shows_the_largest_slack() -> None:
    records = [VIOLATED, Record("my-kfac", "T4", "cnn", measured=1e-15, bound=1e-13, seconds=1.5), *_errors(2)]
    head, row = table(records, CLAIMS).splitlines()
    assert head.split() == ["claim", "checks", "holds", "violated", "error", "seconds", "worst", "slack"]
    assert row.split() == ["T4", "bias-block-exact", "4", "1", "1", "2", "1.50", "2.96e12", "mlp-tanh-softmax"]
    assert table([Record("s", "T8", "p", verdict="not-claimed")], CLAIMS) == ""


def test_what_is_not_claimed_names_the_problems_on_which_it_happens_to_hold() -> None:
    exact = Record("s", "T8", "deep-linear", verdict="not-claimed", measured=1e-16, bound=1e-13)
    wrong = Record("s", "T8", "mlp", verdict="not-claimed", measured=0.3, bound=1e-13)
    assert "T8 deep-linear-exact holds on 1 of 2 problems: deep-linear" in not_claimed([exact, wrong, VIOLATED], CLAIMS)
    assert not_claimed([VIOLATED], CLAIMS) == ""


def test_the_summary_counts_by_verdict() -> None:
    records = [VIOLATED, *_errors(2), Record("s", "T4", "p")]
    records += [Record("s", "T8", "p", verdict="not-claimed", measured=m) for m in (0.5, None)]
    text = "4 checks: 1 holds, 1 violated, 2 error; 1 not claimed, measured for information; 1 with nothing to measure; 8.2 s"
    assert summary(records, 8.21) == text
    assert summary([], 0.0) == "0 checks; 0.0 s"


def test_notes_that_agree_are_said_once() -> None:
    records = [Record("s", "T4", f"p{i}", notes=(f"detectable bias {i}.5 %",)) for i in range(3)]
    assert notes(records) == "notes\n  T4 on p0 and 2 more checks: detectable bias 0.5 %"
    assert notes([VIOLATED]) == ""


def test_the_likely_defect_is_the_one_that_most_checks_resemble() -> None:
    assert "nearest in 2 of 2 violated checks: planted defect D1" in likely([VIOLATED, VIOLATED])
    assert likely([VIOLATED]) == ""


def test_the_whole_text_ends_with_the_summary_and_names_what_else_fails() -> None:
    text = report_text([VIOLATED], CLAIMS, 1.0, {"T8": "no problem has the tag deep-linear"}, ["unused entry 'T5@x'"])
    assert text.splitlines()[-1] == "1 check: 1 violated; 1.0 s"
    assert "vacuous   T8 deep-linear-exact: no problem has the tag deep-linear" in text
    assert "complaint unused entry 'T5@x'" in text
    assert "\x1b" not in text
    assert "\x1b[31mviolated\x1b[0m" in report_text([VIOLATED], CLAIMS, 1.0, color=True)
