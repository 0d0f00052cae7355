"""The check of a subject: all its claims on all problems, isolated, judged and explained."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from fishergauge.suites.claim import Claim
from fishergauge.suites.execution import Executor
from fishergauge.suites.expectations import Expectations
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.record import Record
from fishergauge.suites.report import Report, idle_claims, vacuous_claims
from fishergauge.suites.selection import Check, Options, ProblemSet, demanded, grouped, left_out, plan
from fishergauge.suites.subject import Subject, as_subject
from fishergauge.suites.workers import run_isolated

__all__ = ["Check", "Executor", "Options", "Report", "check", "plan"]


def check(
    subject: object,
    *,
    problems: str = "*",
    claims: str = "*",
    dtype: str = "float64",
    device: str = "cpu",
    seed: int = 0,
    quick: bool = False,
    jobs: int = 1,
    limit: float = 10.0,
    expectations: Expectations | None = None,
    problem_files: Sequence[str | Path] = (),
    progress: Callable[[int, int], None] | None = None,
    isolate: bool = True,
    command: str = "",
) -> Report:
    """Check a subject: which of its claims hold, by what margin, and why the others do not.

    Args:
        subject: a :class:`~fishergauge.suites.subject.Subject`, or a callable ``Problem -> matrix``, which counts as a
            dense Fisher.
        problems: globs of names, separated by commas.
        claims: globs of ids or names, separated by commas.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"``, ``"cuda"``, ...
        seed: of data, parameters and draws.
        quick: a covering subset of the problems.
        jobs: number of processes.
        limit: seconds that one call of the subject may take.
        expectations: expected failures; those that the subject declares by default.
        problem_files: Python files with further problems.
        progress: called with the number of checks done and in all.
        isolate: whether the subject runs in processes of its own, which it may crash. Without, it runs in this one.
        command: with which a person repeats a check, for the messages.

    Returns:
        The report; ``print`` shows it, ``require()`` raises if something is red.

    Raises:
        SubjectError: it is no subject.
        ProblemError: a file of problems cannot be used.
        ExpectationError: an expected failure is written wrongly.

    Example:
        >>> from fishergauge.reference import ggn
        >>> report = check(lambda problem: 2 * ggn(problem).dense(), problems="linear-regression", claims="T1", isolate=False)
        >>> report.counts, report.red[0].witness
        ({'violated': 1}, 'weight: ratio to the expected block 2 in every entry')
    """
    subject = as_subject(subject, "subject")
    options = Options(problems, claims, dtype, device, seed, quick, jobs, limit, tuple(problem_files))
    expectations = expectations if expectations is not None else Expectations.load(subject)
    started = time.perf_counter()
    with one_thread():
        available = ProblemSet(options)
        checks = plan(subject, options, available)
        executor = Executor(subject, options, available, command)
        records = dict(_executed(executor, checks, options, isolate, progress))
        ordered = [records[one] for one in checks]
        absent = left_out(subject, options, available) if expectations.entries else ()
    seconds = time.perf_counter() - started
    return concluded(subject, ordered, demanded(subject, options), expectations, absent, claims != "*", seconds)


def concluded(
    subject: Subject,
    records: Sequence[Record],
    demands: Sequence[Claim],
    expectations: Expectations,
    absent: Collection[tuple[str, str]],
    named: bool,
    seconds: float,
) -> Report:
    """The report of a run whose checks have all been made, wherever that was.

    Args:
        subject: under test.
        records: of all checks, in the order of the plan.
        demands: claims that the run must examine.
        expectations: expected failures.
        absent: claim and problem of each check that the selection left out.
        named: whether claims were asked for by name.
        seconds: that the checks took.
    """
    judged, complaints = expectations.apply(records, absent)
    vacuous = vacuous_claims(demands, judged, named)
    idle = idle_claims(judged)
    judged = tuple(record for record in judged if not record.empty and record.claim not in idle)
    if not judged:
        vacuous = vacuous or {"*": "no check was selected"}
    return Report(subject, judged, vacuous, complaints, seconds)


def _executed(
    executor: Executor,
    checks: Sequence[Check],
    options: Options,
    isolate: bool,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Check, Record]]:
    """Pairs of check and record, in order of completion."""
    if not isolate:
        for done, one in enumerate(checks, start=1):
            yield one, executor.run(one)
            if progress is not None:
                progress(done, len(checks))
        return
    results = run_isolated(
        executor.run, grouped(checks), jobs=options.jobs, limit=options.limit, give_up=executor.given_up, progress=progress
    )
    with closing(results) as pairs:
        yield from pairs
