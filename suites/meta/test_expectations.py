"""Expected failures: what is excused, what is not, and what is complained about."""

import datetime
import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.expectation import ExpectationError, of_file, parse
from fishergauge.suites.expectations import Expectations
from fishergauge.suites.proposal import accept, propose
from fishergauge.suites.record import Record, Verdict
from fishergauge.suites.subject import Subject

NAMES = {"T4": "bias-block-exact", "T5": "input-factor", "T12": "exact-for-one-sample", "T30": "made-of-others"}
TODAY = datetime.date(2026, 11, 24)


def record(claim: str, problem: str, verdict: Verdict = "violated", subject: str = "mine") -> Record:
    return Record(
        subject, claim, problem, verdict=verdict, reason="half of it", measured=0.5, bound=1e-13, formula="64 u sqrt(P)"
    )


RUN = [
    record("T4", "mlp-tanh"),
    record("T4", "mlp-relu", "holds"),
    record("T5", "mlp-tanh", "holds"),
    record("T5", "cnn", "error"),
    record("T12", "linear", "unsupported"),
    record("T12", "cnn", "not-claimed"),
]


def apply(
    *entries: tuple[str, str], records: Sequence[Record] = RUN, left_out: Sequence[tuple[str, str]] = (), more: str = ""
) -> tuple[dict[str, Verdict], tuple[str, ...]]:
    """Verdicts that changed, by ``claim@problem``, and complaints, for entries (claim@problem, reason)."""
    text = ""
    for key, reason in entries:
        claim, problem = key.split("@")
        text += f'[[expected]]\nclaim = "{claim}"\nproblem = "{problem}"\nreason = "{reason}"\n{more}\n'
    known = Expectations("mine", parse(text, "fishergauge.toml"), NAMES, TODAY)
    judged, complaints = known.apply(records, left_out)
    assert [r.key for r in judged] == [r.key for r in records]
    changed = {
        f"{new.claim}@{new.problem}": new.verdict
        for new, old in zip(judged, records, strict=True)
        if new.verdict != old.verdict
    }
    return changed, complaints


@pytest.mark.parametrize("key", ["T4@mlp-tanh", "T4@*", "bias-block-exact@mlp-*", "bias-*@mlp-t*", "T[45]@mlp-tan?"])
def test_a_violated_check_that_an_entry_names_is_expected(key: str) -> None:
    assert apply((key, "bias is apart")) == ({"T4@mlp-tanh": "expected"}, ())


def test_the_reason_and_the_issue_are_appended() -> None:
    text = '[[expected]]\nclaim = "T4"\nreason = " bias is apart "\nissue = "https://example.org/7"'
    judged, _ = Expectations("mine", parse(text, "f.toml"), NAMES).apply(RUN[:1])
    assert judged[0] == replace(
        RUN[0], verdict="expected", reason="half of it; expected: bias is apart (https://example.org/7)"
    )


def test_a_reason_stands_alone_where_there_is_no_other_and_no_issue() -> None:
    entries = parse('[[expected]]\nclaim = "T4"\nreason = "known"', "f.toml")
    judged, _ = Expectations("mine", entries, NAMES).apply([replace(RUN[0], reason="")])
    assert judged[0].reason == "expected: known"


def test_without_entries_nothing_changes() -> None:
    assert apply() == ({}, ())


def test_a_check_that_an_entry_spells_out_but_that_holds_is_unexpected() -> None:
    entries = parse('[[expected]]\nclaim = "input-factor"\nproblem = "mlp-tanh"\nreason = "known"', "f.toml")
    judged, complaints = Expectations("mine", entries, NAMES).apply(RUN)
    assert complaints == ()
    assert judged[2].verdict == "unexpected"
    assert judged[2].reason.endswith("declared to fail (known), but it holds: remove f.toml, entry 1 (input-factor@mlp-tanh)")


def test_an_entry_that_spells_a_check_out_means_it_in_every_dtype() -> None:
    entries = parse('[[expected]]\nclaim = "T4"\nproblem = "mlp-tanh"\nreason = "known"', "f.toml")
    judged, _ = Expectations("mine", entries, NAMES).apply([RUN[0], replace(RUN[0], dtype="float32", verdict="holds")])
    assert [r.verdict for r in judged] == ["expected", "unexpected"]


def test_an_entry_with_globs_whose_checks_all_hold_makes_each_unexpected() -> None:
    run = [record("T4", "mlp-tanh", "holds"), record("T4", "mlp-relu", "holds"), record("T4", "mlp-x", "unsupported")]
    assert apply(("T4@mlp-*", "known"), records=run) == ({"T4@mlp-tanh": "unexpected", "T4@mlp-relu": "unexpected"}, ())


def test_an_entry_with_globs_one_of_whose_checks_is_violated_leaves_the_others() -> None:
    assert apply(("T4@mlp-*", "known")) == ({"T4@mlp-tanh": "expected"}, ())


def test_a_check_in_error_stays_red_and_keeps_its_entry() -> None:
    assert apply(("T5@cnn", "known")) == ({}, ())
    assert apply(("T5@*", "known")) == ({}, ())


def test_a_glob_beside_an_entry_that_spells_the_check_out_does_not_excuse_it() -> None:
    assert apply(("T4@*", "known"), ("T4@mlp-relu", "known")) == ({"T4@mlp-tanh": "expected", "T4@mlp-relu": "unexpected"}, ())


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("T44@*", "no claim is called T44; the nearest is T4"),
        ("bias-block-exakt@*", "the nearest is bias-block-exact"),
        ("T4@mpl-tanh", "no problem of this claim is called mpl-tanh; the nearest is mlp-tanh"),
        ("T4@cnn*", "no problem of this claim is called cnn*; the nearest is mlp-"),
        ("T30@*", "the claim T30 is not made of mine"),
        ("T12@*", "are not-claimed or unsupported, which needs no excuse; remove it"),
    ],
)
def test_an_entry_that_matches_no_executed_check_is_a_complaint(key: str, complaint: str) -> None:
    changed, complaints = apply((key, "known"))
    assert changed == {}
    assert len(complaints) == 1
    assert complaints[0].startswith(f"fishergauge.toml, entry 1 ({key}): ")
    assert complaint in complaints[0]


def test_a_claim_outside_the_catalogue_is_a_candidate_as_well() -> None:
    entries = parse('[[expected]]\nclaim = "mine-1"\nreason = "known"', "f.toml")
    _, complaints = Expectations("mine", entries, {}).apply([record("mine-2", "cnn")])
    assert complaints[0].endswith("no claim is called mine-1; the nearest is mine-2")


def test_an_entry_for_a_run_without_checks_is_a_complaint() -> None:
    assert "nothing was checked" in apply(("T4@*", "known"), records=[])[1][0]


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_empty_reason_excuses_nothing(reason: str) -> None:
    changed, complaints = apply(("T4@*", reason))
    assert changed == {}
    assert ["the reason is empty" in complaint for complaint in complaints] == [True]


@pytest.mark.parametrize(("date", "counts"), [("2026-11-23", False), ("2026-11-24", True), ("2027-01-31", True)])
def test_an_entry_counts_up_to_its_date(date: str, counts: bool) -> None:
    changed, complaints = apply(("T4@*", "known"), more=f"expires = {date}")
    assert changed == ({"T4@mlp-tanh": "expected"} if counts else {})
    assert [f"expired on {date}" in complaint for complaint in complaints] == ([] if counts else [True])


def test_today_is_the_day_of_the_run() -> None:
    assert Expectations("mine", ()).today == datetime.date.today()


class TestSelection:
    """What the selection of a run left out is not held against an entry."""

    LEFT = (("T4", "mlp-deep"), ("T7", "rnn"))

    @pytest.mark.parametrize("more", ["", "expires = 2020-01-01"])
    @pytest.mark.parametrize("reason", ["known", ""])
    @pytest.mark.parametrize("key", ["T4@mlp-deep", "T7@*", "*@rnn"])
    def test_an_entry_that_concerns_it_alone_is_passed_over(self, key: str, reason: str, more: str) -> None:
        assert apply((key, reason), left_out=self.LEFT, more=more) == ({}, ())
        assert len(apply((key, reason), more=more)[1]) == 1

    def test_an_entry_with_globs_is_not_idle_as_long_as_a_check_of_it_was_left_out(self) -> None:
        run = RUN[1:2]
        assert apply(("T4@mlp-*", "known"), records=run, left_out=self.LEFT) == ({}, ())
        assert apply(("T4@mlp-r*", "known"), records=run, left_out=self.LEFT) == ({"T4@mlp-relu": "unexpected"}, ())
        assert apply(("T4@mlp-relu", "known"), records=run, left_out=self.LEFT) == ({"T4@mlp-relu": "unexpected"}, ())

    def test_what_was_selected_is_judged(self) -> None:
        assert apply(("T4@*", "known"), left_out=self.LEFT) == ({"T4@mlp-tanh": "expected"}, ())
        assert "the reason is empty" in apply(("T4@*", ""), left_out=self.LEFT)[1][0]

    def test_a_misspelt_entry_is_a_complaint_all_the_same(self) -> None:
        assert "the nearest is rnn" in apply(("T7@rnm", "known"), left_out=self.LEFT)[1][0]

    def test_an_entry_whose_selected_checks_are_not_executed_waits_for_the_rest(self) -> None:
        left = [("T12", "mlp-tanh")]
        assert apply(("T12@*", "known"), left_out=left) == ({}, ())


def test_what_a_subject_and_a_file_declare_is_gathered(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    mine, other = '[[expected]]\nsubject = "my-*"\nclaim = "T4"\n', '[[expected]]\nsubject = "other"\nclaim = "T5"\n'
    path.write_text(f'{mine}reason = "a"\n{other}reason = "b"\n')
    subject = Subject("my-kfac", lambda problem: None, expected_failures={"T12@cnn": "c"})
    loaded = Expectations.load(subject, path, NAMES)
    assert [(entry.claim, entry.reason) for entry in loaded.entries] == [("T12", "c"), ("T4", "a")]
    assert str(loaded.entries[0]) == "subject my-kfac, expected failure 'T12@cnn' (T12@cnn)"
    assert [entry.claim for entry in Expectations.load(subject, names=NAMES).entries] == ["T12"]
    others = [
        record("T4", "cnn", subject="other"),
        record("T4", "cnn", subject="my-kfac"),
        record("T12", "cnn", subject="my-kfac"),
    ]
    judged, complaints = loaded.apply(others)
    assert [r.verdict for r in judged] == ["violated", "expected", "expected"]
    assert complaints == ()


def test_entries_may_use_the_names_of_the_catalogue() -> None:
    claim = CLAIMS["T4"]
    subject = Subject("mine", lambda problem: None, expected_failures={f"{claim.name}@cnn": "known"})
    judged, complaints = Expectations.load(subject).apply([record("T4", "cnn")])
    assert (judged[0].verdict, complaints) == ("expected", ())
    assert Expectations.load(subject, names={"T4": "other"}).names == {"T4": "other"}
    assert Expectations.load(Subject("mine", lambda problem: None)).names == {}


@pytest.mark.parametrize(("key", "remedy"), [("T4", "'T4@*'"), ("@mlp", "'*@mlp'"), ("T4@", "'T4@*'"), ("", "'*@*'")])
def test_a_key_of_a_subject_has_claim_and_problem(key: str, remedy: str) -> None:
    subject = Subject("mine", lambda problem: None, expected_failures={key: "known"})
    with pytest.raises(ExpectationError, match=re.escape(f"not of the form 'claim@problem'; write {remedy}")):
        Expectations.load(subject, names=NAMES)


WRONG = {
    "no TOML": ("[[expected]\n", "f.toml: not TOML: .*line 1"),
    "an unknown table": ('[[expectd]]\nclaim = "T4"', "unknown table or key 'expectd'; did you mean 'expected'?"),
    "a single table": ('[expected]\nclaim = "T4"', r"begin each entry with \[\[expected\]\]"),
    "a list of texts": ('expected = ["T4"]', r"begin each entry with \[\[expected\]\]"),
    "an unknown key": ('[[expected]]\nclam = "T4"', "entry 1: unknown key 'clam'; did you mean 'claim'?"),
    "a key like no other": ('[[expected]]\nxyz = "T4"', "known: claim, expires, issue, problem, reason, subject"),
    "the origin": ('[[expected]]\norigin = "T4"', "unknown key 'origin'"),
    "a number": ("[[expected]]\nclaim = 4", "entry 1: 'claim' is a text in quotes, not 4"),
    "an empty claim": ('[[expected]]\nclaim = ""', "'claim' is empty and so matches nothing"),
    "no claim": ('[[expected]]\nreason = "known"', "entry 1: without 'claim'"),
    "no reason": ('[[expected]]\nclaim = "T4"\nreason = "known"\n[[expected]]\nclaim = "T4"', "entry 2: without 'reason'"),
    "a date in quotes": ('[[expected]]\nexpires = "2027-01-31"', "'expires' is a date such as 2027-01-31, without quotes"),
    "a date with a time": ("[[expected]]\nexpires = 2027-01-31T00:00:00", "without a time"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_written_wrongly_is_refused(name: str, tmp_path: Path) -> None:
    text, cause = WRONG[name]
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(ExpectationError, match=cause):
        of_file(path)
    with pytest.raises(ExpectationError, match=cause):
        accept(RUN, path, names=NAMES)
    assert path.read_text() == text


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExpectationError, match="no such file; fishergauge accept"):
        of_file(tmp_path / "f.toml")
    with pytest.raises(ExpectationError, match="cannot be read"):
        of_file(tmp_path)
    (tmp_path / "f.toml").write_bytes(b"\xff")
    with pytest.raises(ExpectationError, match="byte 0 is not UTF-8"):
        of_file(tmp_path / "f.toml")


def problems_of(text: str) -> list[tuple[str, str]]:
    return [(entry.claim, entry.problem) for entry in parse(text, "f.toml")]


def test_a_proposal_has_one_entry_for_a_claim_that_is_violated_everywhere() -> None:
    worst = replace(record("T5", "cnn"), measured=0.75)
    run = [*RUN[:2], record("T5", "mlp-tanh"), worst, record("T5", "rnn", "unsupported"), record("T12", "cnn")]
    text = propose(run, "mine")
    assert problems_of(text) == [("T4", "mlp-tanh"), ("T5", "*"), ("T12", "cnn")]
    assert "# 2 problems, worst on cnn: measured 0.75, bound 1e-13 = 64 u sqrt(P)\n" in text
    assert problems_of(propose([*run, record("T5", "late", "error")], "mine"))[1:3] == [("T5", "mlp-tanh"), ("T5", "cnn")]
    assert problems_of(propose(run, "mine", left_out=[("T5", "late")]))[1:3] == [("T5", "mlp-tanh"), ("T5", "cnn")]
    assert propose(run, "other") == ""
    assert propose(RUN[1:], "mine") == ""


def comments(*run: Record) -> list[str]:
    return [line for line in propose(run, "mine").splitlines() if line.startswith("#")]


def test_a_proposal_says_what_was_measured_where() -> None:
    bare = Record("mine", "T4", "a", verdict="violated")
    plain, wild = replace(bare, problem="b", measured=0.5, bound=1e-3), replace(bare, problem="c", measured=math.nan, bound=1.0)
    formula = replace(bare, problem="d", measured=1.0, formula="64\nu\x00")
    assert comments(bare, plain, replace(wild, verdict="holds")) == ["# measured nothing", "# measured 0.5, bound 0.001"]
    assert comments(plain, wild) == ["# 2 problems, worst on c: measured nan, bound 1"]
    assert comments(plain, bare) == ["# 2 problems, worst on a: measured nothing"]
    assert comments(formula) == ["# measured 1"]
    assert comments(replace(formula, bound=2.0)) == ["# measured 1, bound 2 = 64 u"]
    twice = [plain, replace(plain, dtype="float32", measured=0.7), replace(plain, problem="d", verdict="holds")]
    assert comments(*twice) == ["# measured 0.7, bound 0.001"]


@pytest.mark.parametrize(("before", "gap"), [("", ""), ("\n", ""), ("# ours", "\n\n"), ("# ours\n", "\n")])
def test_what_is_appended_stands_apart(before: str, gap: str, tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    path.write_text(before)
    appended = accept(RUN, path, names=NAMES)
    assert path.read_text() == before + gap + appended


def test_existing_entries_may_use_the_names_of_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    path.write_text(f'[[expected]]\nclaim = "{CLAIMS["T4"].name}"\nreason = "known"\n')
    assert accept(RUN, path) == ""
    path.write_text('[[expected]]\nclaim = "of-my-own"\nreason = "known"\n')
    assert accept(RUN, path, names={"T4": "of-my-own"}) == ""
    assert accept(RUN, path) != ""


def test_a_proposal_counts_as_an_error_until_its_reasons_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    appended = accept(RUN, path, names=NAMES)
    assert path.read_text() == appended == propose(RUN, Subject("mine", lambda problem: None))
    empty = Expectations("mine", of_file(path), NAMES).apply(RUN)
    assert (empty[0][0].verdict, len(empty[1])) == ("violated", 1)
    path.write_text(appended.replace('reason = ""', 'reason = "known"'))
    filled = Expectations("mine", of_file(path), NAMES).apply(RUN)
    assert (filled[0][0].verdict, filled[1]) == ("expected", ())


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "  # why\n\n"])
def test_what_stands_in_the_file_is_left_as_it_is(newline: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    before = f'# ours\n[[expected]]   # first\nclaim = "T5"\nreason = "é"{end}'.replace("\n", newline).encode()
    path.write_bytes(before)
    assert accept(RUN, path, names=NAMES) != ""
    after = path.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(newline.encode())
    assert (b"\r" in after) == (newline == "\r\n")
    assert problems_of(after.decode()) == [("T5", "*"), ("T4", "mlp-tanh")]
    assert accept(RUN, path, names=NAMES) == ""
    assert path.read_bytes() == after


@pytest.mark.parametrize(
    ("claim", "problem", "subject", "stands"),
    [
        ("T4", "mlp-tanh", "mine", True),
        ("bias-*", "*", "m*", True),
        ("T4", "mlp-relu", "mine", False),
        ("T4", "mlp-tanh", "other", False),
    ],
)
def test_a_check_that_an_entry_matches_is_not_proposed_again(
    claim: str, problem: str, subject: str, stands: bool, tmp_path: Path
) -> None:
    path = tmp_path / "fishergauge.toml"
    path.write_text(
        f'[[expected]]\nsubject = "{subject}"\nclaim = "{claim}"\nproblem = "{problem}"\nreason = ""\nexpires = 2020-01-01\n'
    )
    assert (accept(RUN[:2], path, names=NAMES) == "") == stands


def test_several_subjects_are_accepted_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    accept([*RUN, record("T5", "cnn", subject="other")], path, names=NAMES)
    assert [(entry.subject, entry.claim) for entry in of_file(path)] == [("mine", "T4"), ("other", "T5")]


def test_nothing_violated_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    assert accept(RUN[1:], path, names=NAMES) == ""
    assert not path.exists()


def test_a_file_that_takes_no_entries_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fishergauge.toml"
    path.write_text('expected = [{claim = "T5", reason = "known"}]\n')
    with pytest.raises(ExpectationError, match=r"takes no further entries .*as tables \[\[expected\]\]"):
        accept(RUN, path, names=NAMES)
    with pytest.raises(ExpectationError, match="cannot be written: there is no folder"):
        accept(RUN, tmp_path / "gone" / "fishergauge.toml", names=NAMES)


LETTERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: bool(text.strip()))


@given(
    LETTERS, st.lists(st.tuples(LETTERS, LETTERS, st.booleans()), min_size=1, max_size=6, unique_by=lambda t: t[:2]), LETTERS
)
def test_a_proposal_with_its_reasons_filled_excuses_the_run_and_nothing_else(
    subject: str, checks: list[tuple[str, str, bool]], formula: str
) -> None:
    run = [replace(record(c, p, "violated" if fails else "holds", subject), formula=formula) for c, p, fails in checks]
    text = propose(run, subject).replace('reason = ""', 'reason = "known"')
    judged, complaints = Expectations(subject, parse(text, "f.toml"), {}).apply(run)
    assert complaints == ()
    assert {old.verdict: new.verdict for old, new in zip(run, judged, strict=True)}.items() <= {
        "violated": "expected",
        "holds": "holds",
    }.items()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fishergauge.toml"
        accept(run, path, names={})
        before = path.read_bytes() if path.exists() else b""
        assert accept(run, path, names={}) == ""
        assert (path.read_bytes() if path.exists() else b"") == before
