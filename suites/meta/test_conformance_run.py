"""A run as a whole: what is planned, executed, judged and said, for right, wrong and ill-behaved subjects."""

import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, empirical_fisher, fisher, ggn, monte_carlo_fisher
from fishergauge.suites import Subject, check
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.report import Report
from fishergauge.suites.selection import Check, Options, ProblemSet, left_out, plan

ONE = "mlp-tanh-softmax"


def exact(problem: Problem) -> Tensor:
    """A right subject."""
    return fisher(problem).dense()


def run(build: Callable[..., Any], problems: str = ONE, **more: Any) -> Report:
    """A run in this process on one problem."""
    return check(Subject("mine", build), problems=problems, isolate=False, **more)


def verdicts(report: Report) -> set[str]:
    return {record.verdict for record in report.records}


def test_a_right_subject_is_cleared() -> None:
    report = run(exact)
    assert report.exit_code == 0
    assert report.counts["holds"] > 12
    report.require()


def test_a_wrong_one_is_explained() -> None:
    report = run(lambda problem: exact(problem) * problem.num_samples, command="fishergauge check mine.py:mine")
    assert report.exit_code == 1
    record = next(record for record in report.records if record.claim == "T1")
    assert record.verdict == "violated"
    assert "ratio to the expected block 6 in every entry" in record.witness
    assert "planted defect" in record.nearest
    assert record.again == f"fishergauge check mine.py:mine --claims T1 --problems {ONE} --seed 0"
    assert record.measured == pytest.approx(5)
    assert record.slack is not None
    assert record.slack > 1e12
    with pytest.raises(ClaimViolated, match=r"mine: \d+ checks are red"):
        report.require()
    assert "violated  T1 equals-exact   mine on mlp-tanh-softmax (float64, cpu, seed 0)" in report.text()


SUBTLE: dict[str, tuple[Callable[[Problem], Tensor], str]] = {
    "one per cent": (lambda p: 1.01 * exact(p), "T1"),
    "an asymmetry of one millionth": (lambda p: exact(p) + 1e-6 * exact(p).norm() * _corner(p), "T26-symmetric"),
    "float32 inside float64": (lambda p: exact(p).float().double(), "T1"),
    "the labels": (lambda p: empirical_fisher(p).dense(), "T2"),
}


def _corner(problem: Problem) -> Tensor:
    matrix = torch.zeros_like(exact(problem))
    matrix[0, -1] = 1
    return matrix


@pytest.mark.parametrize("what", SUBTLE)
def test_small_mistakes_are_seen(what: str) -> None:
    build, claim = SUBTLE[what]
    assert claim in {record.claim for record in run(build).red}


def test_a_bias_of_two_per_cent_is_seen_and_the_detectable_one_is_said() -> None:
    def biased(problem: Problem, samples: int, generator: torch.Generator) -> Tensor:
        return 1.02 * monte_carlo_fisher(problem, samples, generator).dense()

    right = correct_subjects()["monte-carlo-8"]
    for subject, red in ((right, False), (replace(right, build=biased), True)):
        report = check(subject, problems="stat-gaussian,stat-softmax-uniform", claims="MC-unbiased", isolate=False)
        assert [record.red for record in report.records] == [red, red]
        assert all("would be seen" in note for record in report.records for note in record.notes)


# --- ill-behaved subjects: contained, and the run goes on ---------------------------------------------------------------


def refuses(problem: Problem) -> Tensor:
    raise NotImplementedError("no networks today")


def raises(problem: Problem) -> Tensor:
    raise KeyError("weights")


def exits(problem: Problem) -> Tensor:
    raise SystemExit(3)


def returns_nothing(problem: Problem) -> None:
    exact(problem)


def wrong_shape(problem: Problem) -> Tensor:
    return exact(problem)[:, 1:]


def wrong_dtype(problem: Problem) -> Tensor:
    return exact(problem).float()


def not_finite(problem: Problem) -> Tensor:
    return exact(problem) / 0


BAD: dict[str, tuple[Callable[[Problem], Any], str, str]] = {
    "refuses": (refuses, "unsupported", "no networks today"),
    "raises": (raises, "error", "KeyError"),
    "exits": (exits, "error", "exit"),
    "returns nothing": (returns_nothing, "error", "returned None"),
    "wrong shape": (wrong_shape, "error", r"returned shape \(31, 30\), expected \(31, 31\)"),
    "wrong dtype": (wrong_dtype, "error", "is of torch.float32, the parameters are of torch.float64"),
    "not finite": (not_finite, "error", "infinite"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_fails_is_said_in_every_check_and_the_run_goes_on(what: str) -> None:
    build, verdict, reason = BAD[what]
    report = run(build)
    assert verdict in verdicts(report)
    assert verdicts(report) <= {verdict, "violated", "holds"}
    said = next(record.reason for record in report.records if record.verdict == verdict)
    assert re.search(reason, said), said


def test_a_malformed_matrix_violates_the_claim_on_form_alone() -> None:
    assert {record.claim for record in run(wrong_dtype).records if record.verdict == "violated"} == {"T26-form"}


def leaves_gradients(problem: Problem) -> Tensor:
    problem.loss(problem.model(problem.inputs), problem.targets).backward()
    return exact(problem)


def trains(problem: Problem) -> Tensor:
    problem.model.train()
    return exact(problem)


def moves_weights(problem: Problem) -> Tensor:
    matrix = exact(problem)
    with torch.no_grad():
        next(problem.model.parameters()).add_(1)
    return matrix


def draws(problem: Problem) -> Tensor:
    torch.rand(3)
    return exact(problem)


def hooks(problem: Problem) -> Tensor:
    problem.model.register_forward_hook(lambda *_: None)
    return exact(problem)


def changes_default(problem: Problem) -> Tensor:
    torch.set_default_dtype(torch.float64)
    return exact(problem)


CHANGES: dict[str, tuple[Callable[[Problem], Tensor], str]] = {
    "gradients": (leaves_gradients, "gradients"),
    "training mode": (trains, "training modes"),
    "weights": (moves_weights, "parameters"),
    "random state": (draws, "random"),
    "hooks": (hooks, "hooks"),
    "default dtype": (changes_default, "default dtype"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_left_changed_is_reported_put_back_and_harms_no_other_check(what: str) -> None:
    build, named = CHANGES[what]
    default, state = torch.get_default_dtype(), torch.get_rng_state()
    report = run(build)
    assert torch.get_default_dtype() == default
    assert torch.equal(torch.get_rng_state(), state)
    assert [record.claim for record in report.red] == ["T26-untouched"]
    assert named in report.red[0].witness


def test_what_is_printed_or_warned_is_a_note() -> None:
    def talks(problem: Problem) -> Tensor:
        print("computing")
        warnings.warn("slow", stacklevel=1)
        return exact(problem)

    report = run(talks)
    assert report.exit_code == 0
    notes = {note for record in report.records for note in record.notes}
    assert any("printed 'computing'" in note for note in notes)
    assert any("UserWarning: slow" in note for note in notes)


def test_one_that_hangs_is_stopped_and_not_tried_for_ever() -> None:
    def hangs(problem: Problem) -> Tensor:
        while True:
            time.sleep(0.01)

    started = time.monotonic()
    report = run(hangs, limit=0.2)
    assert time.monotonic() - started < 20
    assert {record.verdict for record in report.records} == {"error"}
    several = check(Subject("mine", hangs), problems="mlp-*", claims="T1", isolate=False, limit=0.1)
    assert len(several.records) > 5
    assert sum("not tried" in record.reason for record in several.records) == len(several.records) - 3


def test_one_that_ends_the_process_costs_its_own_checks(tmp_path: Any) -> None:
    def vanishes(problem: Problem) -> Tensor:
        if problem.name == ONE:
            os._exit(7)
        return exact(problem)

    report = check(Subject("mine", vanishes), problems=f"{ONE},linear-regression", claims="T1,T26-psd", jobs=2)
    by_problem = {name: {r.verdict for r in report.records if r.problem == name} for name in (ONE, "linear-regression")}
    assert by_problem == {ONE: {"error"}, "linear-regression": {"holds"}}
    assert all("exit code 7" in record.reason for record in report.records if record.problem == ONE)


# --- the plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_follows_from_declarations_and_tags() -> None:
    for subject in correct_subjects().values():
        problems = ProblemSet(Options())
        checks = plan(subject, Options(), problems)
        for one in checks:
            claim, tags = CLAIMS[one.claim], problems.tags(one.problem)
            assert claim.requires <= tags
            assert not claim.excludes & tags
            assert subject.target != "fisher" or "likelihood" in tags
        assert len(set(checks)) == len(checks)


def test_a_quick_plan_examines_every_claim_that_the_full_one_does() -> None:
    for subject in correct_subjects().values():
        full, quick = (plan(subject, Options(quick=quick)) for quick in (False, True))
        assert {one.claim for one in quick} == {one.claim for one in full}
        assert len(quick) < len(full) / 2
        assert set(quick) <= set(full)


def test_what_a_selection_leaves_out_and_what_it_makes_are_the_whole() -> None:
    subject, options = Subject("mine", exact), Options(problems="mlp-*", claims="T1,T2")
    problems = ProblemSet(options)
    made = {(one.claim, one.problem) for one in plan(subject, options, problems)}
    absent = left_out(subject, options, problems)
    whole = {(c.claim, c.problem) for c in plan(subject, Options(), problems) if CLAIMS[c.claim].made_by(subject)}
    assert not made & absent
    assert made | absent == whole


def test_ids_do_not_depend_on_how_a_run_is_started() -> None:
    assert Check("T4", ONE).id == "T4@mlp-tanh-softmax[float64-cpu]"


def test_claims_can_be_added_and_withdrawn() -> None:
    report = check(Subject("mine", lambda p: 2 * exact(p), disclaims=["T1"]), problems=ONE, claims="T1", isolate=False)
    assert [record.verdict for record in report.records] == ["not-claimed"]
    assert report.exit_code == 0
    confident = Subject("mine", lambda p: ggn(p).dense(), target="ggn", claims=["accurate-*"])
    report = check(confident, claims="C1", isolate=False)
    assert [record.verdict for record in report.records] == ["holds"]


def test_a_claim_that_no_problem_examines_is_vacuous() -> None:
    report = check(Subject("mine", refuses, structure="kronecker"), claims="T9-expand", isolate=False)
    assert report.exit_code == 3
    assert "no networks today" in report.vacuous["T9-expand"]
    assert "disclaims=['T9-expand']" in report.vacuous["T9-expand"]


def test_expected_failures_are_strict() -> None:
    wrong = Subject("mine", lambda p: 2 * exact(p), expected_failures={f"T1@{ONE}": "known factor", "T2@*": "labels"})
    report = check(wrong, problems=ONE, claims="T1,T2", isolate=False)
    assert {record.claim: record.verdict for record in report.records} == {"T1": "expected", "T2": "holds"}
    unused = Subject("mine", exact, expected_failures={"T1@no-such-problem": "why"})
    report = check(unused, problems=ONE, claims="T1", isolate=False)
    assert report.exit_code == 1
    assert "no-such-problem" in report.complaints[0]
