"""``fishergauge accuracy``: which approximation is worth its cost, and who is better?"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import SUBJECT_HELP, Progress, available_cores, positive
from fishergauge.reports.usage import answer, chosen, make_folder, require_distinct, require_range

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Sequence

    from fishergauge.reports.accuracy_execution import Plan
    from fishergauge.reports.accuracy_row import Row
    from fishergauge.suites.subject import Subject

VACUOUS = 3
LISTING = "fishergauge accuracy --list"
EPILOG = """\
exit code: 0 if everything was measured or refused; 1 if an approximation fails with an error; 2 if a subject cannot be
loaded or the options are wrong; 3 if a subject refuses every problem"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "accuracy",
        help="measure how near each approximation is to the exact Fisher, against what it costs",
        description="Measure on a few problems how far each approximation is from the exact Fisher, and its damped step from "
        "the exact one, against counted operations, and say which are worth their cost and who is better than the others.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what is measured")
    group.add_argument("--subject", nargs="+", action="extend", default=[], metavar="SUBJECT", help=SUBJECT_HELP)
    for name in ("problems", "approximations"):
        group.add_argument(f"--{name}", metavar="GLOB", help=f"only these {name}; a comma separates patterns")
    group.add_argument("--quick", action="store_true", help="half of the problems: seconds")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws of subjects (default: 0)")
    group.add_argument("--list", action="store_true", help="list problems and approximations, and measure nothing")
    group = parser.add_argument_group("how")
    group.add_argument(
        "--limit", type=float, default=10.0, metavar="SECONDS", help="allowed to one call of a subject (default: 10)"
    )
    group.add_argument("-j", "--jobs", type=positive, metavar="N", help="processes at the same time (default: one a core)")
    group.add_argument(
        "--out", type=Path, default=Path("out/accuracy"), metavar="DIR", help="folder of the results (default: out/accuracy)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.extras import MissingExtraError  # torch is imported only for work, not for --help
    from fishergauge.suites.subject import SubjectError

    return answer(lambda: _list() if options.list else _accuracy(options), (SubjectError, MissingExtraError))


def _accuracy(options: argparse.Namespace) -> int:
    from fishergauge.reports.accuracy_artefacts import write_artefacts
    from fishergauge.reports.accuracy_execution import measure_accuracy
    from fishergauge.reports.accuracy_tables import LEGEND, red_lines, sections, summary_line
    from fishergauge.reports.extras import require
    from fishergauge.suites.wording import wrapped

    plan = plan_of(options)
    require("matplotlib.figure")
    make_folder(options.out)
    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    start = time.perf_counter()
    try:
        rows = measure_accuracy(plan, options.jobs or available_cores(), shown)
    finally:
        if shown is not None:
            shown.clear()
    taken = time.perf_counter() - start
    print("\n".join(wrapped(LEGEND)) + "\n")
    for section in sections(rows):
        print(section.text() + "\n")
    paths = write_artefacts(rows, plan, shlex.join(["fishergauge", *options.given]), options.out)
    for line in red_lines(rows):
        print(line)
    empty = refusing(rows, plan.subjects)
    for name in empty:
        print(f"vacuous: {name} refuses every problem; measure more of them")
    print(f"written: {', '.join(str(path) for path in paths)}")
    print(summary_line(rows, taken))
    return 1 if any(row.red for row in rows) else VACUOUS if empty else 0


def refusing(rows: "Sequence[Row]", subjects: "Sequence[Subject]") -> list[str]:
    """The subjects of which nothing was measured, as they refuse everything.

    Args:
        rows: of a measurement.
        subjects: under test.
    """
    of = {subject.name: [row.outcome for row in rows if row.approximation == subject.name] for subject in subjects}
    return [name for name, outcomes in of.items() if set(outcomes) == {"refused"}]


def plan_of(options: argparse.Namespace) -> "Plan":
    """What the options ask for.

    Args:
        options: as parsed.

    Raises:
        UsageError: a pattern matches nothing, a number is out of range, or two subjects have one name.
        SubjectError: a subject cannot be loaded.
    """
    from fishergauge.reports.accuracy_approximations import approximations
    from fishergauge.reports.accuracy_execution import Plan
    from fishergauge.reports.accuracy_problems import PROBLEMS
    from fishergauge.suites.loading import load_subject

    require_range(options.seed, options.limit)
    problems = chosen("--problems", options.problems, PROBLEMS, LISTING)
    if options.problems is None and options.quick:
        problems = [name for name in problems if PROBLEMS[name].quick]
    catalogue = list(approximations())
    subjects = [load_subject(text) for text in dict.fromkeys(options.subject)]
    require_distinct([subject.name for subject in subjects], catalogue)
    wanted = tuple(chosen("--approximations", options.approximations, catalogue, LISTING))
    return Plan(tuple(problems), wanted, tuple(subjects), options.limit, options.seed, options.quick)


def _list() -> int:
    """Print what can be chosen."""
    from fishergauge.reports.accuracy_approximations import KINDS, approximations
    from fishergauge.reports.accuracy_problems import PROBLEMS

    listed = {
        "problems": {name: f"{one.statement}: {one.why}" for name, one in PROBLEMS.items()},
        "approximations": {name: f"{one.label} ({KINDS[one.kind]})" for name, one in approximations().items()},
    }
    for title, entries in listed.items():
        print(title)
        for name, text in entries.items():
            print(f"  {name:<24} {text}")
    return 0
