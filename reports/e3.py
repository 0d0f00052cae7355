"""E3: does a step depend on the coordinates, for the natural gradient and SGD? The part of E4 with the exact Fisher."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.data import load
from fishergauge.reports.e4 import E4, KAPPAS, baseline_cells, invariance_cells
from fishergauge.reports.e4_artefacts import write_artefacts
from fishergauge.reports.e4_claims import e3_entries
from fishergauge.reports.e4_measurements import baseline_record
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options


class E3:
    """Coordinate invariance of the natural gradient; its cells are E4's, computed once for both."""

    name = "e3"
    title = "Coordinate invariance"

    def cells(self, options: Options) -> list[Cell]:
        return [cell for data in options.data for cell in baseline_cells("e3", options, data) + invariance_cells(options, data)]

    def run(self, cell: Cell, device: str) -> Record:
        if cell.experiment != "e3":
            return E4().run(cell, device)
        seeds = int(dict(cell.settings)["seeds"])
        return baseline_record(load(cell.data, device), seeds, KAPPAS, "E3", ("exact", "sgd"))

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        return write_artefacts("E3", self.title, results, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return e3_entries(data, results)
