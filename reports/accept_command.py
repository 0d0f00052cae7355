"""``fishergauge accept``: the present failures as a proposal of expected ones, whose reasons are still to be given."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import add_run_options, run_checks, unselected
from fishergauge.reports.usage import answer, writable
from fishergauge.suites.wording import plural

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "accept",
        help="write the present failures into fishergauge.toml, with reasons to be filled in",
        description="Check a subject and append its violated checks to a file of expected failures. Their reasons are empty, "
        "and an entry without a reason counts as an error until somebody gives one.",
    )
    add_run_options(parser)
    parser.add_argument("--file", type=Path, default=Path("fishergauge.toml"), metavar="FILE", help="default: fishergauge.toml")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns 0, or 2 if something is wrong with subject, options or file."""
    from fishergauge.reference import ProblemError
    from fishergauge.suites.expectation import ExpectationError
    from fishergauge.suites.expectations import Expectations
    from fishergauge.suites.loading import load_subject
    from fishergauge.suites.proposal import accept
    from fishergauge.suites.subject import SubjectError

    def accepted() -> int:
        writable("--file", options.file)
        subject = load_subject(options.subject)
        report = run_checks(options, subject, Expectations.load(subject), progress=sys.stderr.isatty())
        written = accept(report.records, options.file, unselected(options, subject))
        if not written:
            print(f"nothing to accept: no violated check of {subject.name} that {options.file} does not name already")
            return 0
        print(f"{written}\n{plural(written.count('[[expected]]'), 'entry').replace('entrys', 'entries')} in {options.file}")
        print('give each a reason: an entry with reason = "" counts as an error')
        return 0

    return answer(accepted, (SubjectError, ProblemError, ExpectationError))
