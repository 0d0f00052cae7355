"""Cells in this process, one after another; those of a group in a process of their own."""

from collections.abc import Generator, Sequence

from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.computation import answer_to, question_of
from fishergauge.reports.sweep.engine import line_of
from fishergauge.reports.sweep.line import Line


class SerialEngine:
    """One cell after another, without a further process and without a further package where no cell has a group.

    A cell that kills its process ends the sweep; the other engines survive it.
    """

    name = "serial"

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        """Compute cells in their order, those with a group last; see :class:`fishergauge.reports.sweep.engine.Engine`."""
        for cell in cells:
            if not cell.group:
                yield line_of(cell, answer_to(question_of(cell)))
        if grouped := [cell for cell in cells if cell.group]:
            from fishergauge.reports.sweep.loky_engine import LokyEngine

            yield from LokyEngine(1).run(grouped)
