"""The kit run on subjects in a process of its own, which a subject may crash; what is finished is kept and used again."""

import json
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.conformance_digest import subject_digest
from fishergauge.reports.conformance_kept import Kept
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import is_reference

if TYPE_CHECKING:
    from fishergauge.suites.conformance import Report
    from fishergauge.suites.expectations import Expectations
    from fishergauge.suites.subject import Subject

LOADING = 60.0
"""Seconds that importing a subject may take."""


def main(arguments: Sequence[str]) -> int:
    """Run the kit on subjects, one after another; the entry point of the process.

    Args:
        arguments: one, JSON with ``specs``, ``options``, ``folder`` (of the records), ``answers`` (a file to which a line is
            written for each subject) and ``taken`` (names of subjects that are in the run already, with their texts).

    Returns:
        0, whatever became of the subjects; 130 if it was interrupted.
    """
    asked = json.loads(arguments[0])
    options, taken = ConformanceOptions.read(asked["options"]), dict(asked["taken"])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the processes of the checks end as well
    try:
        with Path(asked["answers"]).open("a", encoding="utf-8") as answers:
            for spec in asked["specs"]:
                answer = examined(spec, options, Path(asked["folder"]), taken)
                answers.write(json.dumps(answer) + "\n")
                answers.flush()
                if "refused" in answer:
                    break
                taken.setdefault(answer["name"], spec)
                print(said(answer), flush=True)
    except KeyboardInterrupt:
        return 130
    return 0


def examined(spec: str, options: ConformanceOptions, folder: Path, taken: Mapping[str, str]) -> dict[str, Any]:
    """Run the kit on one subject, or take what an earlier run has kept.

    Args:
        spec: the subject as typed.
        options: of the run.
        folder: of the records.
        taken: names of subjects that are in the run already, with their texts.

    Returns:
        Its entry in ``subjects.json``; or ``{"refused": why}`` where the user has to mend something first.
    """
    from fishergauge.reference import ProblemError
    from fishergauge.reports.run_options import run_checks
    from fishergauge.reports.usage import UsageError
    from fishergauge.suites.expectation import ExpectationError
    from fishergauge.suites.expectations import Expectations
    from fishergauge.suites.subject import SubjectError

    ours, before = is_reference(spec), frozenset(sys.modules)
    try:
        subject = _loaded(spec)
    except SubjectError as error:
        return failed(spec, options, str(error))
    if subject.name in taken:
        both = f"{taken[subject.name]} and {spec}"
        return {"refused": f"two subjects are called {subject.name!r}: {both}; give each a name of its own"}
    try:
        expectations = Expectations.load(subject, Path(options.expected) if options.expected and not ours else None)
        kept = Kept(folder, subject_digest(spec, options, expectations, before, ours))
        if (entry := kept.read()) is not None:
            return entry | {"kept": True}
        report = run_checks(options.of_check(spec), subject, expectations, progress=sys.stderr.isatty())
    except (UsageError, ProblemError, ExpectationError) as error:
        return {"refused": str(error)}
    except Exception as error:
        return {**failed(spec, options, f"fishergauge itself failed: {type(error).__name__}: {error}"), **_declared(subject)}
    return kept.write(_entry(spec, options, report, expectations), report.records)


def failed(spec: str, options: ConformanceOptions, error: str) -> dict[str, Any]:
    """The entry of a subject that was not checked to its end.

    Args:
        spec: as typed.
        options: of the run.
        error: why, for people.
    """
    here = str(Path.cwd())
    return {
        **_head(spec, options),
        "checks": 0,
        "counts": {},
        "exit_code": 1,
        "error": error.replace(f"{here}/", "").replace(here, "."),
    }


def said(entry: Mapping[str, Any]) -> str:
    """One line about a subject that is finished."""
    from fishergauge.suites.wording import plural

    if entry.get("error"):
        return f"{entry['name']}: not checked: {str(entry['error']).splitlines()[0]}"
    counts = ", ".join(f"{number} {verdict}" for verdict, number in entry["counts"].items()) or "nothing examined"
    kept = " (kept from an earlier run)" if entry.get("kept") else f"; {entry['timed_seconds']:.1f} s"
    return f"{entry['name']}: {plural(entry['checks'], 'check')}: {counts}{kept}"


def _loaded(spec: str) -> "Subject":
    """The subject; one whose import does not end is stopped."""
    from fishergauge.suites.alarm import Alarm, Interrupted
    from fishergauge.suites.loading import load_subject
    from fishergauge.suites.subject import SubjectError

    start = time.monotonic()
    slow = SubjectError(f"{spec}: importing it took longer than {LOADING:g} s and was stopped")
    try:
        with Alarm(LOADING):
            return load_subject(spec)
    except Interrupted:
        raise slow from None
    except SubjectError as error:
        raise slow if time.monotonic() - start >= LOADING else error from None


def _head(spec: str, options: ConformanceOptions) -> dict[str, Any]:
    """What is known of a subject before it is loaded."""
    ours = is_reference(spec)
    files = [part for file in options.problem_files for part in ("--problem-file", file)]
    return {
        "name": spec,
        "spec": spec,
        "library": "fishergauge" if ours else "yours",
        "origin": "reference" if ours else "yours",
        "command": shlex.join(["fishergauge", "check", spec, *files]),
    }


def _declared(subject: "Subject") -> dict[str, Any]:
    """What a subject says about itself."""
    from fishergauge.reports.list_commands import declared

    return {"name": subject.name, "target": subject.target, "structure": subject.structure, "declared": declared(subject)}


def _entry(spec: str, options: ConformanceOptions, report: "Report", expectations: "Expectations") -> dict[str, Any]:
    """The entry of a subject that was checked."""
    from fishergauge.suites.versions import versions

    names = ("claim", "problem", "reason", "issue", "expires", "origin")
    texts = [{name: getattr(entry, name) for name in names} for entry in expectations.entries]
    return {
        **_head(spec, options),
        **_declared(report.subject),
        "counts": report.counts,
        "exit_code": report.exit_code,
        "vacuous": dict(report.vacuous),
        "complaints": list(report.complaints),
        "expected": [{name: str(value) for name, value in text.items() if value} for text in texts],
        "versions": versions(),
        "timed_seconds": round(report.seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
