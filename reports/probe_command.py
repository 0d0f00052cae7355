"""``fishergauge probe``: is an approximation of any size what it claims to be, as far as its products can tell?"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import SUBJECT_HELP, Progress, natural, require_device
from fishergauge.reports.usage import (
    UsageError,
    answer,
    make_folder,
    require_distinct,
    require_matches,
    require_range,
    writable,
)

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Sequence

    from fishergauge.suites.probes.report import ProbeReport
    from fishergauge.suites.subject import Subject

LISTING = "fishergauge probe --list"
EPILOG = """\
exit code: 0 if nothing is violated or in error; 1 if something is; 2 if the subject cannot be loaded or the options are
wrong; 3 if a probe was executed on no problem ("vacuous")"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "probe",
        help="judge an approximation of up to 1e7 parameters by its products alone",
        description="Judge an approximation of a Fisher or GGN by its products, on problems of 1e4 to 1e7 parameters. Nothing "
        "of size P x P is formed. Each problem has a process of its own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subjects", metavar="SUBJECT", nargs="*", help=SUBJECT_HELP)
    parser.add_argument("--list", action="store_true", help="list the probes and the problems instead")
    group = parser.add_argument_group("what is probed")
    group.add_argument("--problems", default="*", metavar="GLOB", help="only these problems; a comma separates patterns")
    group.add_argument("--size", default="", metavar="P", help="only those of 1e4, 1e5, 1e6 or 1e7 parameters (default: 1e4)")
    group.add_argument("--probes", default="*", metavar="GLOB", help="only these probes, by id or by the claim they stand for")
    group.add_argument("--quick", action="store_true", help="the first problem of a size alone")
    group.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="default: float64")
    group.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.add_argument("--seed", type=natural, default=0, metavar="N", help="of data, parameters and draws (default: 0)")
    group.add_argument(
        "--problem-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file with problems of your own; they are probed alone unless --problems or --size is given",
    )
    group.add_argument(
        "--limit", type=float, default=60.0, metavar="SECONDS", help="allowed to one call of the subject (default: 60)"
    )
    group = parser.add_argument_group("what is written")
    group.add_argument("--json", type=Path, metavar="FILE", help="one record a probe, as JSON Lines")
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a folder of results, such as out: its probes/ is what the report shows, instead of an earlier run's",
    )
    group.add_argument("--verbose", action="store_true", help="a message for every red probe, not one for those of one cause")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reference import ProblemError
    from fishergauge.suites.records_file import RecordsError
    from fishergauge.suites.subject import SubjectError

    return answer(lambda: _listed() if options.list else _probe(options), (SubjectError, ProblemError, RecordsError))


def _listed() -> int:
    """Print the probes and the problems."""
    from fishergauge.suites.probes.large.catalogue import LARGE
    from fishergauge.suites.probes.registry import PROBES
    from fishergauge.suites.probes.table import listing
    from fishergauge.suites.wording import plural

    print("\n".join(listing(PROBES)))
    print(f"{plural(len(PROBES), 'probe')}\n")
    wide = max(map(len, LARGE))
    print("\n".join(f"{name:<{wide}}  {entry.description}" for name, entry in LARGE.items()))
    print(plural(len(LARGE), "problem"))
    return 0


def _probe(options: argparse.Namespace) -> int:
    from fishergauge.reports.probe_files import records_of
    from fishergauge.suites.loading import load_subject
    from fishergauge.suites.probes.table import probe_summary
    from fishergauge.suites.wording import plural

    if not options.subjects:
        raise UsageError(f"name a subject: {SUBJECT_HELP} ({LISTING} lists the probes)")
    writable("--json", options.json)
    _validate(options)
    subjects = [load_subject(text) for text in options.subjects]
    require_distinct([subject.name for subject in subjects], ())
    if options.out is not None:
        make_folder(options.out)
    reports: list[ProbeReport] = []
    for text, subject in zip(options.subjects, subjects, strict=True):
        reports.append(_report(options, text, subject))
        _tell(reports, options)
    if len(reports) > 1:
        together = probe_summary(records_of(reports), sum(report.seconds for report in reports))
        print(f"\n{plural(len(reports), 'subject')}, {together}")
    codes = {report.exit_code for report in reports}
    return 1 if 1 in codes else max(codes)


def _tell(reports: "Sequence[ProbeReport]", options: argparse.Namespace) -> None:
    """Print the last report, and write all of them, so that an interruption costs only what was not finished."""
    from fishergauge.reports.probe_files import records_of, write_probes
    from fishergauge.suites.records_file import write_records
    from fishergauge.suites.wording import wants_color

    last = reports[-1]
    print(("\n" if len(reports) > 1 else "") + last.text(wants_color(sys.stdout), options.verbose), flush=True)
    records = records_of(reports)
    if options.json is not None and records:
        write_records(records, options.json)
    if options.out is not None:
        names = ("problems", "size", "probes", "quick", "dtype", "device", "seed")
        plan = {name: getattr(options, name) for name in names}
        write_probes(reports, shlex.join(["fishergauge", *options.given]), plan, options.out)


def _report(options: argparse.Namespace, text: str, subject: "Subject") -> "ProbeReport":
    """The run, with its progress on a terminal."""
    from fishergauge.suites.probes.probing import probe

    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    files = [part for file in options.problem_file for part in ("--problem-file", str(file))]
    try:
        return probe(
            subject,
            problems=options.problems,
            size=options.size,
            probes=options.probes,
            dtype=options.dtype,
            device=options.device,
            seed=options.seed,
            quick=options.quick,
            limit=options.limit,
            problem_files=tuple(options.problem_file),
            progress=shown,
            command=shlex.join(["fishergauge", "probe", text, *files]),
        )
    finally:
        if shown is not None:
            shown.clear()


def _validate(options: argparse.Namespace) -> None:
    """Refuse selections of nothing, values out of range and devices that are not there."""
    from fishergauge.suites.probes.large.catalogue import LARGE
    from fishergauge.suites.probes.plan import ProbeOptions, chosen_problems, sizes
    from fishergauge.suites.probes.registry import PROBES
    from fishergauge.suites.problem_files import load_problems

    require_range(options.seed, options.limit)
    require_device(options.device)
    if options.size and options.size not in sizes():
        raise UsageError(f"--size {options.size!r}: the problems have {', '.join(sizes())} parameters; give one of these")
    stands_for = [id for probe in PROBES.values() for id in (probe.id, probe.id.removeprefix("probe-"), *probe.of)]
    require_matches("--probes", options.probes, stands_for, LISTING)
    own = [name for file in options.problem_file for name in load_problems(file)]
    if options.problems != "*":
        require_matches("--problems", options.problems, [*LARGE, *own], LISTING)
    chosen = ProbeOptions(options.problems, options.size, quick=options.quick, problem_files=tuple(options.problem_file))
    if not chosen_problems(chosen):
        raise UsageError(f"--problems {options.problems!r} has no problem of --size {options.size}; leave one of the two out")
