"""What an experiment must offer to be run, drawn and judged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options

Results = Sequence[tuple[Cell, Record]]


class Experiment(Protocol):
    """An experiment: cells to compute, artefacts and ledger entries made of their records.

    ``run`` depends on the cell and the device alone, so that a finished cell need not be computed again;
    ``artefacts`` and ``entries`` depend on the results of one data set alone (cells of equal ``data``) and compute nothing
    costly. An experiment that brings its own data ignores those of the options and names its cells' data after itself; its
    ledger entries may name the data more closely. A record may carry
    ``costs``, rows of :meth:`fishergauge.reports.cost.Comparison.row`, which end up in the table of costs.
    """

    name: str
    title: str

    def cells(self, options: Options) -> list[Cell]:
        """The cells that the options ask for, over all their data sets."""
        ...

    def run(self, cell: Cell, device: str) -> Record:
        """Compute a cell."""
        ...

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        """Write tables, summary and figures of one data set into the existing folder ``out``; return their paths."""
        ...

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        """Judge the claims on one data set. Results may lack cells that failed; a claim without figures is left out."""
        ...
