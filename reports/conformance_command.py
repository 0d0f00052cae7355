"""``fishergauge conformance``: the kit on many subjects, for the report."""

import argparse
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.run_options import SUBJECT_HELP, Progress, add_selection, available_cores
from fishergauge.reports.sweep.options import add_engine_options
from fishergauge.reports.usage import answer, make_folder

if TYPE_CHECKING:
    from argparse import _SubParsersAction

EXPECTED = "fishergauge.toml"
EPILOG = """\
exit code: 0 if nothing is red; 1 if something is, or a subject could not be checked; 2 if the options are wrong; 3 if a claim
was not executed on any problem. Finished checks are kept in the folder: the same command goes on from them"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "conformance",
        help="check many subjects, or the reference quantities, into a folder from which the report is made",
        description="Check subjects on the problems of the catalogue, each in a process of its own, and keep all records.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"{SUBJECT_HELP} (default: quantities of fishergauge.reference)"
    )
    add_selection(parser)
    parser.add_argument("--expected", type=Path, metavar="FILE", help="expected failures (default: fishergauge.toml)")
    parser.add_argument("--fresh", action="store_true", help="check everything anew, also what is finished")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    add_engine_options(parser, jobs=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.extras import MissingExtraError

    return answer(lambda: _conformance(options), (MissingExtraError,))


def _conformance(options: argparse.Namespace) -> int:
    from fishergauge.reports.conformance_run import CELLS, FOLDER, asked_of, run_conformance  # torch only for work
    from fishergauge.reports.sweep.options import engine_of
    from fishergauge.reports.sweep.part import run_part
    from fishergauge.reports.sweep.store import SweepStore

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is finished is written, and all processes end
    make_folder(options.out)
    expected = options.expected or (Path(EXPECTED) if Path(EXPECTED).exists() else "")
    chosen = ConformanceOptions(
        options.quick,
        options.problems,
        options.claims,
        options.dtype,
        options.device,
        options.seed,
        tuple(str(file) for file in options.problem_file),
        float(options.limit),
        str(expected),
        options.jobs or available_cores(),
    )
    engine = engine_of(options)
    path = options.out / FOLDER / CELLS
    if options.fresh:
        path.unlink(missing_ok=True)
    asked, store = asked_of(options.subjects, chosen), SweepStore(path)
    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    try:
        if options.shard:
            return run_part(asked.all_cells, options, store, engine, shown)
        return run_conformance(asked, options.out, store, engine, shlex.join(["fishergauge", *options.given]), shown)
    finally:
        if shown is not None:
            shown.clear()
