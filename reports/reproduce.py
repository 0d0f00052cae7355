"""Run experiments: cells, artefacts, ledger, provenance."""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.cost_table import cost_markdown, cost_table
from fishergauge.reports.data import load
from fishergauge.reports.experiment import Experiment
from fishergauge.reports.extras import require
from fishergauge.reports.in_parallel import in_parallel
from fishergauge.reports.ledger import LedgerEntry, write_ledger
from fishergauge.reports.options import OptionError, Options
from fishergauge.reports.provenance import write_provenance
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_reproduce import sweep_cell
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.part import run_part
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.reports.tables import write_csv, write_json
from fishergauge.reports.targets import NEEDS, PAPER
from fishergauge.reports.usage import make_folder

CELLS = "cells.jsonl"
"""The file of the finished cells in the folder of the results."""

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a run has done: its results, how many cells it computed and kept, and what failed."""

    results: dict[Cell, Record] = field(default_factory=dict)
    computed: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)


def reproduce(
    options: Options,
    experiments: Mapping[str, Experiment],
    command: str = "",
    say: Say = print,
    engine: Engine | None = None,
) -> Outcome:
    """Run the experiments that the options ask for, or what of them is not finished yet.

    A cell that fails is reported with its traceback, and the rest goes on; so is an artefact.

    Args:
        options: what to do.
        experiments: by name; where cells are computed it is those of :mod:`fishergauge.reports.experiments` that run.
        command: the command line, for the record of origin.
        say: prints a line.
        engine: computes the cells; by default as many processes of this machine as the options say.

    Returns:
        The outcome.

    Raises:
        OptionError: an option cannot be honoured.
        DataError: there is no such data set.
        MissingExtraError: a package of the extra ``report`` is missing.
        EngineError: the engine can compute nothing; what is finished is kept.
    """
    check_options(options, experiments)
    store, outcome = SweepStore(options.out / CELLS, say), Outcome()
    chosen = {name: experiments[name].cells(options) for name in options.experiments}
    cells = list(dict.fromkeys(cell for group in chosen.values() for cell in group))
    sent = {cell: sweep_cell(cell, options.device) for cell in cells}
    with _told(store, say) as (told, news):
        lines = sweep(list(sent.values()), store, engine or local_engine(options.device, options.jobs), told, _unsaid)
    for cell in cells:
        line = lines[sent[cell]]
        if line.verdict == "done":
            outcome.results[cell] = line.result
        else:
            outcome.failures.append(f"{cell.label} failed: {line.error}")
    outcome.computed = sum(1 for line in news if line.verdict == "done")
    outcome.kept = len(outcome.results) - outcome.computed
    tasks = []
    for data in groups(cells):
        for name, group in chosen.items():
            results = [(cell, outcome.results[cell]) for cell in group if cell.data == data and cell in outcome.results]
            if results:
                tasks.append((experiments[name], data, results, options.out / data))
    entries: list[LedgerEntry] = []
    for conclusion in in_parallel(_conclude, tasks, options.jobs):
        entries += conclusion.entries
        outcome.paths += conclusion.paths
        for what, trace in conclusion.failures:
            outcome.failures.append(what)
            say(f"{what}\n{trace}")
    _finish(options, entries, cells, command, outcome, say)
    return outcome


def compute_part(
    options: Options, experiments: Mapping[str, Experiment], engine: Engine, given: argparse.Namespace, say: Say = print
) -> int:
    """Compute the cells of a shard, and nothing else.

    Args:
        options: what to do.
        experiments: by name.
        engine: computes the cells.
        given: the command line as parsed, with ``shard``.
        say: prints a line.

    Returns:
        The exit code.

    Raises:
        OptionError: an option cannot be honoured.
    """
    check_options(options, experiments)
    store = SweepStore(options.out / CELLS, say)
    cells = dict.fromkeys(cell for name in options.experiments for cell in experiments[name].cells(options))
    with _told(store, say) as (told, _):
        return run_part([sweep_cell(cell, options.device) for cell in cells], given, store, engine, told)


def local_engine(device: str, jobs: int) -> Engine:
    """The engine of this machine: several processes, but for a device that they would share.

    Args:
        device: on which cells are computed.
        jobs: number of processes.
    """
    return SerialEngine() if jobs == 1 or torch.device(device).type != "cpu" else LokyEngine(jobs)


def check_options(options: Options, experiments: Mapping[str, Experiment]) -> None:
    """Refuse what cannot be done before anything is computed, and make the folder of the results."""
    unknown = [name for name in options.experiments if name not in experiments]
    if unknown:
        raise OptionError(f"there is no experiment {unknown[0]!r}; choose from {', '.join(experiments)}, all")
    try:
        device = torch.device(options.device)
    except RuntimeError as error:
        raise OptionError(f"{options.device!r} is no device; use cpu or cuda") from error
    if device.type == "cuda" and torch.cuda.device_count() == 0:
        raise OptionError("no CUDA device is available; use --device cpu, or make one visible to this process")
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"{options.device!r} is not supported; use cpu or cuda")
    for module in dict.fromkeys(["matplotlib", "tqdm", *(m for name in options.experiments for m in NEEDS.get(name, ()))]):
        require(module)
    if any(name in PAPER for name in options.experiments):
        for data in options.data:
            load(data, options.device)
    make_folder(options.out, OptionError)


@dataclass
class Conclusion:
    """Artefacts and ledger entries of one experiment on one data set, and what failed, with tracebacks."""

    paths: list[Path] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def _conclude(experiment: Experiment, data: str, results: list[tuple[Cell, Record]], folder: Path) -> Conclusion:
    """Write the artefacts of one experiment on one data set, and judge its claims."""
    conclusion = Conclusion()
    folder.mkdir(exist_ok=True)
    try:
        conclusion.paths = experiment.artefacts(data, results, folder)
    except Exception as error:
        what = f"the artefacts of {experiment.name} on {data} failed: {error!r}"
        conclusion.failures.append((what, traceback.format_exc()))
    try:
        conclusion.entries = experiment.entries(data, results)
    except Exception as error:
        what = f"the ledger entries of {experiment.name} on {data} failed: {error!r}"
        conclusion.failures.append((what, traceback.format_exc()))
    return conclusion


def groups(cells: Iterable[Cell]) -> list[str]:
    """The data sets of cells, each once, in their order: what artefacts and ledger entries are made for."""
    return list(dict.fromkeys(cell.data for cell in cells))


def remarks(options: Options, failures: int) -> list[str]:
    """What a reader of the ledger must know of the run.

    Args:
        options: of the run.
        failures: how many cells or artefacts failed.
    """
    found = []
    if options.quick:
        found.append("A quick run, with fewer seeds and coarser grids than the paper's: verdicts can differ from a full run's.")
    if options.seeds is not None:
        found.append(f"Run with {options.seeds} seeds instead of the published numbers.")
    if failures:
        found.append(f"Incomplete: {failures} parts of the run failed, and what rests on them is missing.")
    return found


def _finish(options: Options, entries: list[LedgerEntry], cells: list[Cell], command: str, outcome: Outcome, say: Say) -> None:
    """Costs, ledger and provenance."""
    tables = {}
    for data in groups(cells):
        rows = [row for cell, record in outcome.results.items() if cell.data == data for row in record.get("costs", [])]
        tables[data] = cost_table(rows)
        if rows:
            outcome.paths.append(write_csv(tables[data], options.out / data / "cost.csv"))
            outcome.paths.append(write_json({"schema": 1, "costs": tables[data]}, options.out / data / "cost.json"))
    outcome.paths += write_ledger(entries, options.out, cost_markdown(tables), remarks(options, len(outcome.failures)))
    done = [cell for cell in cells if cell in outcome.results]
    outcome.paths.append(write_provenance(outcome.paths, done, options.device, command, options.out))
    for entry in entries:
        say(f"{entry.id} on {entry.data}: {entry.verdict}. {entry.statement}")
    for data, table in tables.items():
        for row in table:
            say(f"{row['task']} on {data}: {row['speedup']:.1f} times faster, {row['memory_ratio']:.1f} times less memory")
    say(f"{outcome.computed} cells computed, {outcome.kept} kept, {len(outcome.failures)} failures")
    say(f"the ledger of claims: {options.out / 'claims.md'}")
    for failure in outcome.failures:
        say(f"FAILED: {failure}")


@contextmanager
def _told(store: SweepStore, say: Say) -> Iterator[tuple[Progress, list[Line]]]:
    """What tells of each cell that ends, with a progress bar where someone watches; and the lines of those cells."""
    bar = require("tqdm").tqdm(unit="cell") if sys.stderr.isatty() else None
    news: list[Line] = []

    def told(done: int, total: int, what: object) -> None:
        if bar is not None:
            bar.total, bar.n = total, done
            bar.set_description(str(what))
        if isinstance(what, SweepCell) and (line := store.get(what)) is not None:
            news.append(line)
            say(f"{what}: {line.seconds:.1f} s" if line.verdict == "done" else f"{what} failed:\n{line.trace or line.error}")

    try:
        yield told, news
    finally:
        if bar is not None:
            bar.close()


def _unsaid(line: str) -> None:
    """What is told with its traceback already."""
