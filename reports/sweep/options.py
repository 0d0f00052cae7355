"""The options of a command that say where its cells are computed, and which of them."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from fishergauge.reports.extras import MissingExtraError, require
from fishergauge.reports.run_options import available_cores, positive
from fishergauge.reports.usage import UsageError

if TYPE_CHECKING:
    from fishergauge.reports.sweep.engine import Engine

T = TypeVar("T")
ENGINES = ("serial", "joblib", "dask")


def add_engine_options(parser: argparse.ArgumentParser, jobs: bool = True) -> None:
    """Add the options to a command's parser.

    Args:
        parser: of the command.
        jobs: whether to add ``--jobs``, too; not where the command has it already.
    """
    group = parser.add_argument_group("where it is computed")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        help="serial: in this process; joblib: on several processes of this machine; dask: on the workers of a cluster "
        "(default: joblib, serial with -j 1, dask with --scheduler or --cluster)",
    )
    group.add_argument("--scheduler", metavar="ADDRESS", help="of a running dask scheduler, such as tcp://10.0.0.1:8786")
    group.add_argument(
        "--cluster",
        metavar="SPEC",
        help="a dask cluster to start: local:4, or package.module:Class,key=value,... such as "
        "dask_jobqueue:SLURMCluster,cores=4,memory=8GB,jobs=10",
    )
    if jobs:
        group.add_argument("-j", "--jobs", type=positive, metavar="N", help="processes at the same time (default: one a core)")
    group.add_argument("--shard", type=shard, metavar="I/N", help="only the I-th of N parts; 'fishergauge merge' joins them")


def shard(text: str) -> tuple[int, int]:
    """``I/N`` of a command line as two numbers.

    Raises:
        argparse.ArgumentTypeError: it is not of this form, or I is not from 1 to N.

    Example:
        >>> shard("2/3")
        (2, 3)
    """
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"I/N with I from 1 to N, such as 2/3, not {text!r}")
    return int(number), int(count)


def engine_of(options: argparse.Namespace, say: Callable[[str], None] = print) -> "Engine":
    """The engine that the options ask for.

    Args:
        options: with ``engine``, ``scheduler``, ``cluster`` and ``jobs``.
        say: is told what the engine waits for.

    Raises:
        UsageError: they contradict one another, or the package of the engine is not installed; the message names the remedy.
    """
    scheduler, cluster, jobs = options.scheduler, options.cluster, options.jobs
    name = options.engine or ("dask" if scheduler or cluster else "serial" if jobs == 1 else "joblib")
    for option, value in (("--scheduler", scheduler), ("--cluster", cluster)):
        if value == "":
            raise UsageError(f"{option} is empty; give it a value, or leave it out")
        if value is not None and name != "dask":
            raise UsageError(f"{option} is for --engine dask; leave it out, or --engine {name}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}; leave it out for one process a core")
    try:
        return _made(name, scheduler, cluster, jobs, say)
    except MissingExtraError as error:
        raise UsageError(f"--engine {name}: {error}") from error


def _made(name: str, scheduler: str | None, cluster: str | None, jobs: int | None, say: Callable[[str], None]) -> "Engine":
    """The engine of a name, if the other options go with it."""
    if name == "dask":
        from fishergauge.reports.sweep.dask_engine import DaskEngine

        if scheduler and cluster:
            raise UsageError("--scheduler connects to a running cluster and --cluster starts one; give one of them")
        if not scheduler and not cluster:
            raise UsageError("--engine dask needs --scheduler ADDRESS or --cluster SPEC; on this machine: --cluster local:4")
        if jobs is not None:
            raise UsageError("--jobs is for this machine; with --engine dask the cluster has its number: --cluster local:4")
        require("distributed", "dask")
        return DaskEngine(scheduler or "", cluster or "", say)
    if name == "serial":
        from fishergauge.reports.sweep.serial_engine import SerialEngine

        if jobs not in (None, 1):
            raise UsageError(f"--engine serial is one process; leave out --jobs {jobs}, or take --engine joblib")
        return SerialEngine()
    from fishergauge.reports.sweep.loky_engine import LokyEngine

    return LokyEngine(jobs or available_cores())


def shard_of(cells: Sequence[T], options: argparse.Namespace) -> list[T]:
    """The cells of the part that ``--shard`` asks for; all where it was not given.

    Args:
        cells: of the whole sweep, in an order that is the same on every machine.
        options: with ``shard``.
    """
    number, count = options.shard or (1, 1)
    return list(cells)[number - 1 :: count]
