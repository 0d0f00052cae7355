"""What a run must know of a subject before it is checked, found out in a process that importing it may crash."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fishergauge.reference import ProblemError
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import is_reference
from fishergauge.reports.list_commands import declared
from fishergauge.reports.run_options import validate
from fishergauge.reports.sweep.sent_subject import Sent, file_digest, sources_digest
from fishergauge.reports.usage import UsageError
from fishergauge.suites.alarm import Alarm, Interrupted
from fishergauge.suites.expectation import ExpectationError
from fishergauge.suites.expectations import Expectations
from fishergauge.suites.loading import load_subject
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.selection import Check, ProblemSet, demanded, left_out, plan
from fishergauge.suites.subject import Subject, SubjectError
from fishergauge.suites.workers import heartbeat, run_isolated

LOADING = 60.0
"""Seconds that importing a subject may take."""


@dataclass(frozen=True)
class Known:
    """What is known of a subject once it has been imported, in plain values, as the subject itself stays where it was.

    Args:
        spec: as typed.
        name: of the subject.
        target: that it declares.
        structure: that it declares.
        declared: in words.
        sent: what its cells are told of it.
        checks: that are to be made.
        demands: ids of the claims that must be examined.
        expectations: its expected failures.
        absent: claim and problem of each check that the selection left out.
    """

    spec: str
    name: str
    target: str
    structure: str
    declared: str
    sent: Sent
    checks: tuple[Check, ...]
    demands: tuple[str, ...]
    expectations: Expectations
    absent: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Unknown:
    """A subject that cannot be checked.

    Args:
        spec: as typed.
        reason: for people.
        refused: whether the user has to mend something before anything is checked.
    """

    spec: str
    reason: str
    refused: bool = False


def looked_up(specs: Sequence[str], options: ConformanceOptions) -> dict[str, Known | Unknown]:
    """Look at subjects, the user's in a process each and those of this package in one; in the order of the subjects.

    Args:
        specs: as typed.
        options: of the run.
    """
    ours = [spec for spec in specs if is_reference(spec)]
    groups = ([ours] if ours else []) + [[spec] for spec in specs if spec not in ours]
    jobs = min(options.jobs, len(groups))

    def died(spec: str, reason: str) -> Known | Unknown:
        return Unknown(spec, f"{reason} while it was imported")

    problems = cache(lambda: ProblemSet(options.of_suites()))  # shared by subjects that share a process

    def found_out(spec: str) -> Known | Unknown:
        return look_up(spec, options, problems)

    with one_thread():
        results = run_isolated(found_out, groups, jobs=jobs, limit=LOADING, give_up=died)
        with closing(results) as pairs:
            found = dict(pairs)
    return {spec: found[spec] for spec in specs}


def look_up(spec: str, options: ConformanceOptions, problems: Callable[[], ProblemSet] | None = None) -> Known | Unknown:
    """Load a subject in this process, and plan its checks.

    Args:
        spec: as typed.
        options: of the run.
        problems: of the run; built from the options by default.
    """
    before = frozenset(sys.modules)
    try:
        subject = _loaded(spec)
    except SubjectError as error:
        return Unknown(spec, str(error))
    heartbeat()  # what follows takes time of its own
    try:
        sent = Sent(spec, file_digest(spec), sources_digest([spec], before))
        return _known(subject, options, sent, problems() if problems is not None else ProblemSet(options.of_suites()))
    except (UsageError, ProblemError, ExpectationError) as error:
        return Unknown(spec, str(error), refused=True)


def _known(subject: Subject, options: ConformanceOptions, sent: Sent, problems: ProblemSet) -> Known:
    ours = is_reference(sent.spec)
    expectations = Expectations.load(subject, Path(options.expected) if options.expected and not ours else None)
    validate(options.of_check(sent.spec))
    chosen = options.of_suites()
    return Known(
        sent.spec,
        subject.name,
        subject.target,
        subject.structure,
        declared(subject),
        sent,
        tuple(plan(subject, chosen, problems)),
        tuple(claim.id for claim in demanded(subject, chosen)),
        expectations,
        frozenset(left_out(subject, chosen, problems)) if expectations.entries else frozenset(),
    )


def _loaded(spec: str) -> Subject:
    """The subject; one whose import does not end is stopped."""
    start = time.monotonic()
    slow = SubjectError(f"{spec}: importing it took longer than {LOADING:g} s and was stopped")
    try:
        with Alarm(LOADING):
            return load_subject(spec)
    except Interrupted:
        raise slow from None
    except SubjectError as error:
        raise slow if time.monotonic() - start >= LOADING else error from None
