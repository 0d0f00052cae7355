"""The command line: ``fishergauge check`` and its companions, ``fishergauge spectrum`` and ``fishergauge reproduce``."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports import (
    accept_command,
    check_command,
    compare_command,
    list_commands,
    selftest_command,
    spectrum_command,
)
from fishergauge.reports.code_version import package_version

if TYPE_CHECKING:
    from argparse import _SubParsersAction

NAMES = ("e1", "e2", "e3", "e4")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = argparse.ArgumentParser(prog="fishergauge", description="Verify Fisher and generalised Gauss-Newton approximations.")
    root.add_argument("--version", action="version", version=f"fishergauge {package_version()}")
    commands = root.add_subparsers(dest="command", required=True)
    check_command.add_parser(commands)
    compare_command.add_parser(commands)
    accept_command.add_parser(commands)
    list_commands.add_parsers(commands)
    selftest_command.add_parser(commands)
    spectrum_command.add_parser(commands)
    _add_reproduce(commands)
    return root


def _add_reproduce(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command that runs the experiments."""
    run = commands.add_parser(
        "reproduce",
        help="run the experiments of the paper, as published and as they should be",
        description="Run experiments of the paper, as published and as they should be, and judge its claims. Finished cells in "
        "the folder of results are not computed again.",
    )
    run.add_argument("experiment", nargs="+", choices=(*NAMES, "all"), help="which experiments")
    run.add_argument(
        "--data",
        nargs="+",
        default=["synthetic", "digits"],
        metavar="NAME",
        help="data sets: synthetic, digits, wine, breast-cancer (default: synthetic digits)",
    )
    run.add_argument("--seeds", type=int, metavar="N", help="number of seeds (default: as published)")
    run.add_argument("--quick", action="store_true", help="fewer seeds and coarser grids: seconds instead of minutes")
    run.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    run.add_argument("--jobs", "-j", type=int, metavar="N", help="processes at the same time (default: one a core)")
    run.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    run.set_defaults(run=_reproduce)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        0 if all went well, 1 if something failed, 2 for options that cannot be honoured, 3 if a check was vacuous, 130 if
        interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    options.given = given
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `fishergauge claims | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _reproduce(options: argparse.Namespace) -> int:
    """Run experiments."""
    from fishergauge.reports.data import DataError  # torch is imported only for work, not for --help
    from fishergauge.reports.engine import available_cores
    from fishergauge.reports.experiments import EXPERIMENTS
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.reports.options import OptionError, Options
    from fishergauge.reports.reproduce import reproduce

    names = NAMES if "all" in options.experiment else tuple(dict.fromkeys(options.experiment))
    try:
        jobs = available_cores() if options.jobs is None else options.jobs
        data = tuple(dict.fromkeys(options.data))
        asked = Options(names, data, options.seeds, options.quick, options.device, options.out, jobs)
        outcome = reproduce(asked, EXPERIMENTS, shlex.join(["fishergauge", *options.given]), _say)
    except (OptionError, DataError, MissingExtraError) as error:
        print(f"fishergauge: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"fishergauge: interrupted; finished cells are kept in {options.out}, and the same command goes on", file=sys.stderr
        )
        return 130
    return 1 if outcome.failures else 0


def _say(line: str) -> None:
    """Print a line, above the progress bar where there is one."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            pass
        else:
            tqdm.write(line)
            return
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
