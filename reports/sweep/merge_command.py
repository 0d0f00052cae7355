"""``fishergauge merge``: the lines of several shards in one file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.usage import answer

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "merge",
        help="join the cells.jsonl of several shards or machines",
        description="Join files of cells that sweeps have written: as their concatenation, without what is there twice. The "
        "command of the sweep, with --out at the folder of the result and without --shard, then computes nothing again. Exit "
        "code 1 if a line was damaged and left out, 2 if a file cannot be read.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a cells.jsonl")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the joint one, with its folder made if needed")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.sweep.merge import merge
    from fishergauge.suites.wording import plural

    def merged() -> int:
        found = merge(options.files, options.out)
        failed = sum(line.verdict == "failed" for line in found.lines)
        print(
            f"{options.out}: {plural(len(found.lines), 'cell')} of {plural(len(options.files), 'file')}, {failed} failed; "
            f"{plural(found.damaged, 'damaged line')} left out, {plural(len(found.conflicts), 'conflict')}"
        )
        return 1 if found.damaged else 0

    return answer(merged)
