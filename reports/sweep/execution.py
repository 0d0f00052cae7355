"""A sweep: cells that are kept are taken, the others are computed, and each is kept when it ends."""

from collections.abc import Callable, Sequence
from contextlib import closing

from fishergauge.reports.sweep.cell import CellError, SweepCell
from fishergauge.reports.sweep.engine import Engine, EngineError
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.wording import plural

Progress = Callable[[int, int, object], None]


def sweep(
    cells: Sequence[SweepCell],
    store: SweepStore,
    engine: Engine,
    progress: Progress | None = None,
    say: Callable[[str], None] = print,
) -> dict[SweepCell, Line]:
    """Compute the cells that the store lacks; those that failed in an earlier run are tried again.

    Args:
        cells: of the sweep; a cell that stands in it twice is computed once.
        store: holds and takes the lines.
        engine: computes.
        progress: is told the number of finished cells, of all cells, and what ended last.
        say: is told of each cell that failed.

    Returns:
        The line of each cell, in the order of the cells. After an interrupt or an error of the engine, the store has what is
        finished.

    Raises:
        StoreError: the file of the store cannot be written.
        EngineError: the engine can compute nothing, or no more.
        CellError: two cells are equal to Python and differ in their keys.
    """
    by_key = {cell.key: cell for cell in cells}
    if len(by_key) > len(set(by_key.values())):
        raise CellError("two cells differ only in the kind of a number, such as 1, 1.0 and True; give it in one way")
    lines = {key: line for key, cell in by_key.items() if (line := store.get(cell)) is not None and line.verdict == "done"}
    left = [cell for key, cell in by_key.items() if key not in lines]
    if progress is not None:
        progress(len(lines), len(by_key), "kept from an earlier run" if lines else "")
    store.make()
    if left:
        with closing(engine.run(left)) as computed:
            for line in computed:
                lines[line.key] = store.add(line)
                if line.verdict == "failed":
                    say(f"{line.cell} failed: {line.error}")
                if progress is not None:
                    progress(len(lines), len(by_key), line.cell)
    if missing := [cell for key, cell in by_key.items() if key not in lines]:
        raise EngineError(
            f"the engine {engine.name} left out {plural(len(missing), 'cell')}, {missing[0]} among them; start again"
        )
    return {cell: lines[cell.key] for cell in cells}
