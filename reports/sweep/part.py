"""A part of a sweep, as ``--shard I/N`` asks for it: its cells are computed and kept, and nothing is judged."""

import argparse
from collections.abc import Sequence

from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.options import shard_of
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.wording import plural


def run_part(
    cells: Sequence[SweepCell],
    options: argparse.Namespace,
    store: SweepStore,
    engine: Engine,
    progress: Progress | None = None,
) -> int:
    """Compute the cells of a shard and say how to go on.

    Args:
        cells: of the whole sweep.
        options: with ``shard``.
        store: takes the lines.
        engine: computes.
        progress: as of :func:`~fishergauge.reports.sweep.execution.sweep`.

    Returns:
        The exit code: 1 if a cell failed, else 0.
    """
    own = shard_of(cells, options)
    lines = sweep(own, store, engine, progress)
    failed = [cell for cell, line in lines.items() if line.verdict == "failed"]
    number, count = options.shard
    print(f"shard {number}/{count}: {len(own)} of {plural(len(cells), 'cell')} in {store.path}, {len(failed)} failed")
    merge = f"fishergauge merge A/{store.path.name} B/{store.path.name} --out {store.path}"
    print(f"nothing is judged yet: join the files of all shards ({merge}), and give the same command without --shard")
    return 1 if failed else 0
