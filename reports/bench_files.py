"""The files of ``fishergauge bench``."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from fishergauge.reports.bench_figures import roofline_figures, scaling_figures
from fishergauge.reports.bench_github import write_entries
from fishergauge.reports.bench_scaling import Scaling, write_scaling
from fishergauge.reports.bench_tables import markdown, write_table
from fishergauge.reports.extras import MissingExtraError
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.record import BenchRecord, write_records


def write_files(records: Sequence[BenchRecord], verdict: Sequence[str], options: argparse.Namespace) -> list[Path]:
    """Write tables and records into the folder of the results and wherever the options say.

    Args:
        records: of the run.
        verdict: lines for the head of the document.
        options: as parsed.

    Returns:
        The paths.

    Raises:
        UsageError: a file cannot be written.
    """
    try:
        return _written(records, verdict, options)
    except OSError as error:
        kept = options.out / "bench.jsonl"
        raise UsageError(
            f"{error.filename or 'a file of the results'} cannot be written ({error.strerror}); the records are kept in "
            f"{kept}: make room or choose other paths, and the same command with --resume goes on from them"
        ) from None


def _written(records: Sequence[BenchRecord], verdict: Sequence[str], options: argparse.Namespace) -> list[Path]:
    table, document = options.out / "bench.csv", options.out / "bench.md"
    text = markdown(records, [f"$ {shlex.join(['fishergauge', *options.given])}", *verdict])
    write_table(records, table)
    document.write_text(text, encoding="utf-8")
    paths = [table, document]
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
        paths.append(options.markdown)
    if options.json is not None:
        write_records(records, options.json)
        paths.append(options.json)
    if options.github is not None:
        paths.append(write_entries(records, options.github))
    return paths


def write_drawn(records: Sequence[BenchRecord], scaling: Scaling | None, out: Path) -> list[Path]:
    """Write how costs grow, and draw the figures; without matplotlib there are none, which is said.

    Args:
        records: of the run.
        scaling: where it was measured.
        out: the folder.

    Returns:
        The paths.
    """
    paths = write_scaling(scaling, out) if scaling is not None else []
    try:
        paths += roofline_figures(records, out)
        paths += scaling_figures(scaling.rows, out) if scaling is not None else []
    except MissingExtraError as error:
        print(f"no figures: {error}")
    return paths
