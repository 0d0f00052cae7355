"""``fishergauge check``: is an approximation what it claims to be?"""

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import add_run_options, run_checks
from fishergauge.reports.usage import answer, patterns, writable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.suites.baseline import Comparison
    from fishergauge.suites.conformance import Report
    from fishergauge.suites.record import Record

EPILOG = """\
exit code: 0 if nothing is violated, unexpected or in error; 1 if something is, or a check is worse than in the baseline;
2 if the subject cannot be loaded or the options are wrong; 3 if a claim was not executed on any problem ("vacuous")"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check",
        help="check an approximation: which of its claims hold, and why the others do not",
        description="Check an approximation of a Fisher or GGN on the problems of the catalogue.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run_options(parser)
    group = parser.add_argument_group("what is known")
    group.add_argument("--expected", type=Path, metavar="FILE", help="expected failures (default: fishergauge.toml)")
    group.add_argument("--baseline", type=Path, metavar="FILE", help="records of an earlier run; what is worse fails")
    group = parser.add_argument_group("what is written")
    group.add_argument("--json", type=Path, metavar="FILE", help="one record a check, as JSON Lines")
    group.add_argument("--junit", type=Path, metavar="FILE", help="JUnit XML")
    group.add_argument("--verbose", action="store_true", help="a message for every check, not one for those of the same cause")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reference import ProblemError
    from fishergauge.suites.baseline import BaselineError
    from fishergauge.suites.expectation import ExpectationError
    from fishergauge.suites.records_file import RecordsError
    from fishergauge.suites.subject import SubjectError

    errors = (SubjectError, ProblemError, ExpectationError, RecordsError, BaselineError)
    return answer(lambda: _check(options), errors)


def _check(options: argparse.Namespace) -> int:
    from fishergauge.suites.expectations import FILE, Expectations
    from fishergauge.suites.junit import write_junit
    from fishergauge.suites.loading import load_subject
    from fishergauge.suites.records_file import read_records, write_records
    from fishergauge.suites.wording import wants_color

    writable("--json", options.json)
    writable("--junit", options.junit)
    old = read_records(options.baseline) if options.baseline is not None else None
    subject = load_subject(options.subject)
    expected = options.expected or (Path(FILE) if Path(FILE).exists() else None)
    report = run_checks(options, subject, Expectations.load(subject, expected), progress=sys.stderr.isatty())
    print(report.text(wants_color(sys.stdout), options.verbose), flush=True)
    if options.json is not None and report.records:
        write_records(report.records, options.json)
    if options.junit is not None and report.records:
        write_junit(report.records, options.junit)
    if old is None or not report.records:
        return report.exit_code
    comparison = _compared(old, report, options)
    print(f"\ncompared with {options.baseline}\n{comparison.text()}")
    return 1 if 1 in (report.exit_code, comparison.exit_code) else report.exit_code


def _compared(old: "Sequence[Record]", report: "Report", options: argparse.Namespace) -> "Comparison":
    """The run against those records of the baseline that it would have repeated."""
    from fishergauge.suites.baseline import compare
    from fishergauge.suites.claims import CLAIMS

    claims, problems = patterns(options.claims), patterns(options.problems)

    def asked(record: "Record") -> bool:
        claim = CLAIMS.get(record.claim)
        return (
            (record.subject, record.dtype, record.device) == (report.subject.name, options.dtype, options.device)
            and any(fnmatchcase(record.problem, pattern) for pattern in problems)
            and any(fnmatchcase(record.claim, pattern) or (claim and claim.matches(pattern)) for pattern in claims)
        )

    kept = [record for record in old if asked(record)]
    return compare(kept or old, report.records)
