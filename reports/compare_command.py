"""``fishergauge compare``: two files of records, old and new."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.usage import answer

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "compare",
        help="compare the records of two runs; exit code 1 if something got worse",
        description="Compare two files that 'fishergauge check --json' wrote: changed verdicts, vanished checks, drift of "
        "slack and of cost. Exit code 1 if something got worse, 2 if a file cannot be read.",
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="records of the earlier run")
    parser.add_argument("new", type=Path, metavar="NEW", help="records of the later run")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.suites.baseline import BaselineError, compare
    from fishergauge.suites.records_file import RecordsError, read_records

    def compared() -> int:
        comparison = compare(read_records(options.old), read_records(options.new))
        print(comparison.text())
        return comparison.exit_code

    return answer(compared, (RecordsError, BaselineError))
