"""The options of a run of checks, which ``fishergauge check`` and ``fishergauge accept`` share."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fishergauge.reports.usage import UsageError, require_matches

if TYPE_CHECKING:
    from fishergauge.suites.conformance import Report
    from fishergauge.suites.expectations import Expectations
    from fishergauge.suites.subject import Subject

SUBJECT_HELP = "package.module:ATTRIBUTE, path/to/file.py:ATTRIBUTE, or a name that 'fishergauge subjects' lists"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add subject and selection to a command's parser."""
    parser.add_argument("subject", metavar="SUBJECT", help=SUBJECT_HELP)
    add_selection(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add to a command's parser what is checked, and how."""
    group = parser.add_argument_group("what is checked")
    group.add_argument("--quick", action="store_true", help="a covering subset of the problems")
    group.add_argument("--problems", default="*", metavar="GLOB", help="only these problems; a comma separates patterns")
    group.add_argument("--claims", default="*", metavar="GLOB", help="only these claims, by id or name")
    group.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="default: float64")
    group.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.add_argument("--seed", type=natural, default=0, metavar="N", help="of data, parameters and draws (default: 0)")
    group.add_argument(
        "--problem-file", type=Path, action="append", default=[], metavar="FILE", help="a Python file with problems of your own"
    )
    group = parser.add_argument_group("how")
    group.add_argument("-j", "--jobs", type=positive, metavar="N", help="processes at the same time (default: one a core)")
    group.add_argument(
        "--limit",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="allowed to one call of the subject (default: 10)",
    )


def run_checks(
    options: argparse.Namespace, subject: "Subject", expectations: "Expectations | None", progress: bool
) -> "Report":
    """Check a subject as the options ask.

    Args:
        options: as parsed.
        subject: under test.
        expectations: its expected failures.
        progress: whether to show it on the standard error.

    Raises:
        UsageError: a pattern matches nothing, or there is no such device.
    """
    from fishergauge.suites.conformance import check

    validate(options)
    shown = Progress(sys.stderr) if progress else None
    try:
        return check(
            subject,
            problems=options.problems,
            claims=options.claims,
            dtype=options.dtype,
            device=options.device,
            seed=options.seed,
            quick=options.quick,
            jobs=options.jobs or available_cores(),
            limit=options.limit,
            expectations=expectations,
            problem_files=tuple(options.problem_file),
            progress=shown,
            command=command_prefix(options),
        )
    finally:
        if shown is not None:
            shown.clear()


def unselected(options: argparse.Namespace, subject: "Subject") -> set[tuple[str, str]]:
    """Claim and problem of each check that a run without a selection would make beyond this one."""
    from fishergauge.suites.selection import Options, ProblemSet, left_out

    files = tuple(options.problem_file)
    chosen = Options(
        options.problems, options.claims, options.dtype, options.device, options.seed, options.quick, problem_files=files
    )
    return left_out(subject, chosen, ProblemSet(chosen))


def command_prefix(options: argparse.Namespace) -> str:
    """The command that repeats a check, as far as it does not depend on the check."""
    files = [part for file in options.problem_file for part in ("--problem-file", str(file))]
    return shlex.join(["fishergauge", "check", options.subject, *files])


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Progress:
    """One line on a terminal that says how far a run is."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.wide = 0

    def __call__(self, done: int, total: int, what: object = "") -> None:
        text = f"{done}/{total} {what}"[:78]
        self.stream.write("\r" + text.ljust(self.wide))
        self.stream.flush()
        self.wide = len(text)

    def clear(self) -> None:
        """Leave the line empty."""
        if self.wide:
            self.stream.write("\r" + " " * self.wide + "\r")
            self.stream.flush()


def validate(options: argparse.Namespace) -> None:
    """Refuse selections of nothing and devices that are not there.

    Raises:
        UsageError: a pattern matches nothing, or there is no such device.
    """
    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.problem_files import load_problems
    from fishergauge.suites.zoo import CATALOGUE

    claims = [name for claim in CLAIMS.values() for name in (claim.id, claim.name)]
    require_matches("--claims", options.claims, claims, "fishergauge claims")
    if options.problems != "*":
        own = [name for file in options.problem_file for name in load_problems(file)]
        require_matches("--problems", options.problems, [*CATALOGUE, *own], "fishergauge problems")
    require_device(options.device)


def require_device(name: str) -> None:
    """Refuse what is no device, and one that is not there.

    Raises:
        UsageError: the message names the remedy.
    """
    from fishergauge.suites.devices import devices

    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"--device {name!r} is no device; use cpu or cuda")
    if kind not in devices():
        raise UsageError(f"--device {name}: no such device is visible; use cpu, or a build of torch that sees one")


def _checked(convert: Callable[[str], float], text: str, holds: Callable[[float], bool], expected: str) -> float:
    try:
        value = convert(text)
    except ValueError:
        value = float("nan")
    if not holds(value):
        raise argparse.ArgumentTypeError(f"{expected}, not {text!r}")
    return value


def natural(text: str) -> int:
    """A whole number from zero, of a command line."""
    return int(_checked(int, text, lambda value: value >= 0, "a whole number, 0 or larger"))


def positive(text: str) -> int:
    """A whole number from one, of a command line."""
    return int(_checked(int, text, lambda value: value >= 1, "a whole number, 1 or larger"))


def _seconds(text: str) -> float:
    return _checked(float, text, lambda value: 0 < value < float("inf"), "a number of seconds above 0")
