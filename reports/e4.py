"""E4: does a step depend on the coordinates, for the exact Fisher, K-FAC, the empirical Fisher and SGD?"""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.data import load
from fishergauge.reports.e4_artefacts import write_artefacts
from fishergauge.reports.e4_claims import e4_entries
from fishergauge.reports.e4_measurements import (
    PUBLISHED_METHODS,
    baseline_record,
    corrected_record,
    cutoff_record,
    order_record,
    published_record,
)
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options

KAPPAS = (1.0, 10.0, 100.0, 1000.0)
CUTOFF_KAPPAS = (1e2, 1e3, 1e4, 1e5, 1e6)
PUBLISHED_SEEDS = 3
ORDER_SEEDS = 10


def invariance_cells(options: Options, data: str) -> list[Cell]:
    """The cells that E3 and E4 share: both protocols, seed by seed."""
    kappas = (("kappas", ",".join(f"{kappa:g}" for kappa in KAPPAS)),)
    seeds = range(options.seed_count(PUBLISHED_SEEDS))
    return [Cell("e4", protocol, data, seed, kappas) for protocol in ("published", "corrected") for seed in seeds]


def baseline_cells(experiment: str, options: Options, data: str) -> list[Cell]:
    """The notebook's algorithm, on the synthetic data alone: elsewhere it needs gigabytes."""
    if data != "synthetic":
        return []
    return [Cell(experiment, "baseline", data, 0, (("seeds", options.seed_count(PUBLISHED_SEEDS)),))]


class E4:
    """Coordinate invariance of approximations of the Fisher."""

    name = "e4"
    title = "Approximation invariance test"

    def cells(self, options: Options) -> list[Cell]:
        cells = []
        for data in options.data:
            cells += baseline_cells("e4", options, data) + invariance_cells(options, data)
            if data == "synthetic":  # the order was published for these data
                orders = 4 if options.quick else max(ORDER_SEEDS, options.seeds or 0)
                cells += [Cell("e4", "published", data, seed, (("study", "order"),)) for seed in range(orders)]
            cells.append(Cell("e4", "corrected", data, 0, (("study", "cutoff"),)))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        data, settings = load(cell.data, device), dict(cell.settings)
        if settings.get("study") == "order":
            return order_record(data, cell.seed, KAPPAS[-1])
        if settings.get("study") == "cutoff":
            return cutoff_record(data, cell.seed, CUTOFF_KAPPAS)
        if cell.protocol == "baseline":
            return baseline_record(data, int(settings["seeds"]), KAPPAS, "E4", PUBLISHED_METHODS)
        kappas = [float(kappa) for kappa in str(settings["kappas"]).split(",")]
        return (published_record if cell.protocol == "published" else corrected_record)(data, cell.seed, kappas)

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        return write_artefacts("E4", self.title, results, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return e4_entries(data, results)
