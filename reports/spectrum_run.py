"""The spectrum measured as a sweep: what is finished is kept, and the rest is computed wherever the options say."""

from collections.abc import Mapping

from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_spectrum import read, sweep_cell
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.sent_subject import Sent
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.suites.spectrum.cell import Cell
from fishergauge.suites.spectrum.execution import Plan, given_up
from fishergauge.suites.spectrum.row import Row

CELLS = "spectrum_cells.jsonl"
"""The file of the finished cells in the folder of the results, which it shares with other commands."""


def spectrum_cells(plan: Plan, sent: Mapping[str, Sent]) -> dict[Cell, SweepCell]:
    """The cells of a plan, those of a problem together, the most costly problems first.

    Args:
        plan: what is measured.
        sent: its subjects by name.
    """
    return {cell: sweep_cell(cell, plan, sent) for group in plan.groups() for cell in group}


def measure_spectrum(
    plan: Plan, sent: Mapping[str, Sent], store: SweepStore, engine: Engine, progress: Progress | None = None
) -> tuple[Row, ...]:
    """Measure what a plan asks for.

    Args:
        plan: what is measured.
        sent: its subjects by name.
        store: of the cells.
        engine: computes them.
        progress: is told the number of finished cells, of all cells, and the last one.

    Returns:
        The rows, in the order of the plan; those of a cell that failed say why.
    """
    cells = spectrum_cells(plan, sent)
    lines = sweep(list(cells.values()), store, engine, progress, say=lambda line: None)
    rows: list[Row] = []
    for cell in plan.cells():
        line = lines[cells[cell]]
        rows += read(line.result) if line.verdict == "done" else given_up(plan, cell, line.error)
    return tuple(rows)
