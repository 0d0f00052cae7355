"""``fishergauge reproduce``: the experiments, as published and as they should be."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import available_cores
from fishergauge.reports.sweep.options import add_engine_options
from fishergauge.reports.targets import COURSE, GAUSS_NEWTON, PAPER, TARGETS
from fishergauge.reports.usage import INTERRUPTED, WRONG_USE

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "reproduce",
        help="run the experiments, as published and as they should be",
        description="Run experiments, as published and as they should be, and judge the claims of their sources.\n"
        "Finished cells in the folder of results are not computed again.",
        epilog=_described(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "experiment", nargs="+", choices=(*TARGETS, "all"), metavar="EXPERIMENT", help="names from below, or all"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="NAME",
        help="data sets of e1 to e4: synthetic, digits, wine, breast-cancer (default: synthetic digits)",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="number of seeds (default: as published)")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and coarser grids: seconds instead of minutes")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.data import DataError  # torch is imported only for work, not for --help
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.reports.options import OptionError
    from fishergauge.reports.usage import UsageError

    try:
        return _reproduce(options)
    except (OptionError, DataError, MissingExtraError, UsageError) as error:
        print(f"fishergauge: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print(
            f"fishergauge: interrupted; finished cells are kept in {options.out}, and the same command goes on", file=sys.stderr
        )
        return INTERRUPTED


def _reproduce(options: argparse.Namespace) -> int:
    """Run experiments."""
    from fishergauge.reports.experiments import EXPERIMENTS
    from fishergauge.reports.options import OptionError, Options
    from fishergauge.reports.reproduce import check_options, compute_part, local_engine, reproduce
    from fishergauge.reports.sweep.options import engine_of

    names = tuple(TARGETS) if "all" in options.experiment else tuple(dict.fromkeys(options.experiment))
    if options.data is not None and not any(name in PAPER for name in names):
        raise OptionError(f"--data is for {', '.join(PAPER)}; {', '.join(names)} brings data of its own: leave --data out")
    data = tuple(dict.fromkeys(options.data or Options.data))
    asked = Options(names, data, options.seeds, options.quick, options.device, options.out, options.jobs or available_cores())
    chosen, local = engine_of(options), not (options.engine or options.scheduler or options.cluster)
    check_options(asked, EXPERIMENTS)
    engine = local_engine(asked.device, asked.jobs) if local else chosen
    if options.shard:
        return compute_part(asked, EXPERIMENTS, engine, options, _say)
    outcome = reproduce(asked, EXPERIMENTS, shlex.join(["fishergauge", *options.given]), _say, engine)
    return 1 if outcome.failures else 0


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
