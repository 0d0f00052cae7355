"""The command line: ``fishergauge report``, ``check`` and their companions."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports import (
    accept_command,
    accuracy_command,
    bench_command,
    check_command,
    compare_command,
    conformance_command,
    list_commands,
    peers_command,
    report_command,
    selftest_command,
    spectrum_command,
)
from fishergauge.reports.code_version import package_version
from fishergauge.reports.targets import COURSE, GAUSS_NEWTON, PAPER, TARGETS

if TYPE_CHECKING:
    from argparse import _SubParsersAction


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
    bench_command.add_parser(commands)
    peers_command.add_parser(commands)
    conformance_command.add_parser(commands)
    accuracy_command.add_parser(commands)
    report_command.add_parser(commands)
    _add_reproduce(commands)
    return root


def _add_reproduce(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command that runs the experiments."""
    run = commands.add_parser(
        "reproduce",
        help="run the experiments, as published and as they should be",
        description="Run experiments, as published and as they should be, and judge the claims of their sources.\n"
        "Finished cells in the folder of results are not computed again.",
        epilog=_described(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("experiment", nargs="+", choices=(*TARGETS, "all"), metavar="EXPERIMENT", help="names from below, or all")
    run.add_argument(
        "--data",
        nargs="+",
        metavar="NAME",
        help="data sets of e1 to e4: synthetic, digits, wine, breast-cancer (default: synthetic digits)",
    )
    run.add_argument("--seeds", type=int, metavar="N", help="number of seeds (default: as published)")
    run.add_argument("--quick", action="store_true", help="fewer seeds and coarser grids: seconds instead of minutes")
    run.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    run.add_argument("--jobs", "-j", type=int, metavar="N", help="processes at the same time (default: one a core)")
    run.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    run.set_defaults(run=_reproduce)


def _described() -> str:
    """The experiments with a line each, by source."""
    groups = {
        "experiments of the paper": PAPER,
        "experiments with the generalised Gauss-Newton matrix": GAUSS_NEWTON,
        "experiments of a course on natural gradients": COURSE,
    }
    wide = max(map(len, TARGETS))
    lines = []
    for heading, group in groups.items():
        lines += [f"{heading}:", *(f"  {name:{wide}}  {what}" for name, what in group.items()), ""]
    return "\n".join(lines)


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

    names = tuple(TARGETS) if "all" in options.experiment else tuple(dict.fromkeys(options.experiment))
    try:
        jobs = available_cores() if options.jobs is None else options.jobs
        if options.data is not None and not any(name in PAPER for name in names):
            raise OptionError(f"--data is for {', '.join(PAPER)}; {', '.join(names)} brings data of its own: leave --data out")
        data = tuple(dict.fromkeys(options.data or Options.data))
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
