"""``fishergauge bench``: what does curvature cost, and did it become more?"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import SUBJECT_HELP, Progress, available_cores, positive
from fishergauge.reports.sweep.options import add_engine_options
from fishergauge.reports.usage import INTERRUPTED, WRONG_USE, UsageError, answer, make_folder, writable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.reports.bench_plan import BenchPlan
    from fishergauge.reports.bench_run import Manner
    from fishergauge.reports.sweep.engine import Engine
    from fishergauge.reports.sweep.store import SweepStore
    from fishergauge.suites.benchmarks.record import BenchRecord

VACUOUS = 3
MOST_THREADS = 4  # a core
DESCRIPTION = """\
Measure what implementations of the same task cost: verified against an independent result first, then counted (FLOPs,
passes, peak memory) and timed in turn. Judged are results and what repeats exactly; time only between two versions (--old)."""
EPILOG = """\
exit code: 0 if nothing is red; 1 if a result is wrong, a scaling exponent is, or, against a baseline, counted cost rose, memory
rose by more than 5 %, a benchmark vanished, or the new version is slower in turn with the old one; 2 if the options are wrong,
the baseline is of another machine, or the device is not there (the tables show it all the same); 3 if of a subject nothing
could be measured"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure what curvature costs, beside other libraries, and compare it with an earlier run",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what is measured")
    group.add_argument("--subject", nargs="+", action="extend", default=[], metavar="SUBJECT", help=SUBJECT_HELP)
    group.add_argument("--sizes", metavar="SIZES", help="small, medium, large (default: small,medium; see --quick)")
    group.add_argument("--problems", metavar="GLOB", help="only these problems; a comma separates patterns")
    group.add_argument("--tasks", metavar="GLOB", help="only these tasks, such as 'ggn/*'")
    group.add_argument("--implementations", metavar="GLOB", help="only these implementations")
    group.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="other libraries: all of them must be installed, or none is measured (default: those that are installed)",
    )
    group.add_argument("--dtype", choices=("float64", "float32", "both"), default="float64", help="default: float64")
    group.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.add_argument("--scaling", action="store_true", help="also how counted cost grows with N, P and C, against theory")
    group.add_argument(
        "--quick",
        action="store_true",
        help="only softmax-small and mlp-small unless --sizes or --problems says otherwise, no conjugate gradients of the "
        "reference unless --implementations does, and little time for timing: times are rough, results and counts are not",
    )
    group.add_argument("--list", action="store_true", help="list implementations, tasks and problems, and measure nothing")
    group = parser.add_argument_group("how")
    group.add_argument("--threads", type=positive, metavar="N", help="of torch (default: as torch chooses)")
    group.add_argument("--rounds", type=positive, metavar="N", help="rounds of timing")
    group.add_argument("--no-time", action="store_true", help="counted cost and memory alone")
    group.add_argument("--resume", action="store_true", help="go on with an interrupted run in the folder of the results")
    group = parser.add_argument_group("what it is compared with")
    group.add_argument("--baseline", type=Path, metavar="FILE", help="what --json wrote earlier, on this machine")
    group.add_argument("--counted-only", action="store_true", help="compare FLOPs and passes with a baseline of any machine")
    group.add_argument("--old", metavar="PYTHON", help="interpreter with an old version, which is timed in turn with this one")
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--out", type=Path, default=Path("out/bench"), metavar="DIR", help="folder of the results (default: out/bench)"
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="one record a benchmark, as JSON Lines")
    group.add_argument("--github", type=Path, metavar="FILE", help="JSON for github-action-benchmark, customSmallerIsBetter")
    group.add_argument("--markdown", type=Path, metavar="FILE", help="tables and verdict, for a job summary")
    add_engine_options(parser, jobs=False)
    parser.set_defaults(run=run, jobs=None)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reference.errors import UnsupportedError  # torch is imported only for work, not for --help
    from fishergauge.reports.bench_interleaved import InterleavedError
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.suites.benchmarks.gate import GateError
    from fishergauge.suites.benchmarks.record import RecordError
    from fishergauge.suites.subject import SubjectError

    errors = (SubjectError, RecordError, GateError, InterleavedError, MissingExtraError, UnsupportedError)
    return answer(lambda: _threaded(options), errors)


def _threaded(options: argparse.Namespace) -> int:
    """The command with the number of threads that was asked for."""
    import torch

    before = torch.get_num_threads()
    if (options.threads or 1) > (most := MOST_THREADS * available_cores()):
        raise UsageError(f"--threads {options.threads}: this machine has {available_cores()} cores; give {most} at most")
    torch.set_num_threads(options.threads or before)
    try:
        return _list(options) if options.list else _bench(options)
    finally:
        torch.set_num_threads(before)


def _bench(options: argparse.Namespace) -> int:
    from fishergauge.reports.bench_plan import plan_of
    from fishergauge.reports.bench_run import (
        CELLS,
        InterruptedRunError,
        Manner,
        measure_plan,
        missing_device,
        require_resumable,
    )
    from fishergauge.reports.bench_scaling import require_closed_forms
    from fishergauge.reports.bench_turns import worker_of
    from fishergauge.reports.bench_verdict import baseline_of
    from fishergauge.reports.sweep.store import SweepStore
    from fishergauge.suites.devices import require

    for option in ("json", "github", "markdown"):
        writable(f"--{option}", getattr(options, option))
    plan = plan_of(options)
    if plan.device == "cpu":
        require()  # a leg of a device may not pass without it
    if options.scaling:
        require_closed_forms(plan)
    baseline = baseline_of(options, plan)
    old = worker_of(options.old) if options.old is not None else None
    engine, manner = _engine(options), Manner(options.quick, options.rounds, not options.no_time)
    make_folder(options.out)
    path, cells = options.out / "bench.jsonl", options.out / CELLS
    if not options.resume:
        cells.write_bytes(b"")  # there from now on, so that a run that was interrupted at once can be resumed
    store = SweepStore(cells)
    if options.resume:
        require_resumable(store, plan, manner)
    start = time.perf_counter()
    try:
        with _progress() as shown:
            if options.shard:
                return _part(options, plan, manner, store, engine, shown)
            records = measure_plan(plan, manner, path, store, engine, shown)
    except InterruptedRunError as stop:
        count = f"{len(stop.records)} finished benchmarks are kept in {path}"
        print(f"fishergauge: interrupted; {count}, and the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    _show(records)
    if absent := missing_device(plan.device):
        _end(records, [path, *_files(records, (), options)], start)
        print(f"fishergauge: --device {plan.device}: {absent}; nothing was measured", file=sys.stderr)
        return WRONG_USE
    return _judged(options, plan, store, engine, records, baseline, old, start)


def _engine(options: argparse.Namespace) -> "Engine":
    """This process, where times are the steadiest, unless the options ask for another engine."""
    from fishergauge.reports.sweep.options import engine_of
    from fishergauge.reports.sweep.serial_engine import SerialEngine

    chosen = engine_of(options)
    return chosen if options.engine or options.scheduler or options.cluster else SerialEngine()


def _part(
    options: argparse.Namespace,
    plan: "BenchPlan",
    manner: "Manner",
    store: "SweepStore",
    engine: "Engine",
    shown: Progress | None,
) -> int:
    """Measure the cells of a shard."""
    from fishergauge.reports.bench_run import case_cells, missing_device
    from fishergauge.reports.bench_scaling import growth_cells
    from fishergauge.reports.sweep.part import run_part

    if absent := missing_device(plan.device):
        raise UsageError(f"--device {plan.device}: {absent}")
    cells = [*case_cells(plan, manner).values(), *(growth_cells(plan, options.quick).values() if options.scaling else ())]
    return run_part(cells, options, store, engine, shown)


def _judged(
    options: argparse.Namespace,
    plan: "BenchPlan",
    store: "SweepStore",
    engine: "Engine",
    records: "Sequence[BenchRecord]",
    baseline: "Sequence[BenchRecord] | None",
    old: Sequence[str] | None,
    start: float,
) -> int:
    """Judge, write and summarise what was measured; returns the exit code."""
    from fishergauge.reports import bench_verdict as verdicts
    from fishergauge.reports.bench_files import write_drawn
    from fishergauge.reports.bench_scaling import scaling_of

    path = options.out / "bench.jsonl"
    verdict, scaling = verdicts.of_results(records), None
    if baseline is not None:
        verdict += verdicts.of_baseline(baseline, records, options)
    if options.scaling:
        with _progress() as shown:
            scaling = scaling_of(plan, options.quick, store, engine, shown)
        verdict += verdicts.of_scaling(scaling)
    paths = [path, *write_drawn(records, scaling, options.out)]
    try:
        if old is not None:
            with _progress() as shown:
                verdict += verdicts.of_old_version(old, plan, options, shown)
    finally:  # what was measured is kept, whatever the workers do
        if verdict.lines:
            print("\n".join(verdict.lines) + "\n")
        paths += _files(records, verdict.lines, options)
    empty = verdicts.vacuous(plan, records)
    for name in empty:
        print(f"vacuous: of {name} nothing could be measured; choose other tasks and problems (fishergauge bench --list)")
    _end(records, paths, start)
    return 1 if verdict.red else VACUOUS if empty else 0


def _show(records: "Sequence[BenchRecord]") -> None:
    """Print the tables."""
    from fishergauge.reports.bench_tables import LEGEND, sections
    from fishergauge.suites.wording import wrapped

    for section in sections(records):
        print(section.text() + "\n")
    print("\n".join(wrapped(LEGEND)) + "\n")


def _files(records: "Sequence[BenchRecord]", lines: Sequence[str], options: argparse.Namespace) -> list[Path]:
    from fishergauge.reports.bench_files import write_files

    return write_files(records, lines, options)


def _end(records: "Sequence[BenchRecord]", paths: Sequence[Path], start: float) -> None:
    """Print what was written, and the summary."""
    from fishergauge.reports.bench_tables import summary_line
    from fishergauge.suites.wording import wrapped

    print("\n".join(wrapped(f"written: {', '.join(map(str, paths))}", rest="  ")))
    print(summary_line(records, time.perf_counter() - start))


@contextlib.contextmanager
def _progress() -> "Iterator[Progress | None]":
    """A line of progress where there is a terminal."""
    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    try:
        yield shown
    finally:
        if shown is not None:
            shown.clear()


def _list(options: argparse.Namespace) -> int:
    """Print what would be measured."""
    from fishergauge.reports.bench_plan import missing_peers, plan_of
    from fishergauge.suites.wording import wrapped

    plan = plan_of(options)
    tasks: dict[str, list[str]] = {}
    for one in plan.implementations:
        tasks.setdefault(str(one.task), []).append(one.name)
    wide = max(len(task) for task in tasks)
    print("tasks, and who does them")
    for task, names in tasks.items():
        print("\n".join(wrapped(", ".join(names), first=f"  {task:<{wide}}  ", rest=" " * (wide + 4))))
    print("problems")
    for bench in plan.benches:
        print(f"  {bench.name:<{wide}}  {bench.description}")
    if "peer" in plan.kinds and (absent := missing_peers()):
        print(f"not installed: {', '.join(absent)}")
    print(f"in {', '.join(plan.dtypes)} on {plan.device}: {sum(len(case.implementations) for case in plan.cases())} benchmarks")
    return 0
