"""Routes to the Jacobian and their times: by hand, by a loop, by torch.func, and by layers."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.gauss_newton.jacobian_claims import jacobian_entries
from fishergauge.reports.gauss_newton.jacobian_figure import draw_jacobian
from fishergauge.reports.gauss_newton.jacobian_measurements import times_record
from fishergauge.reports.gauss_newton.jacobian_tables import PUBLISHED_SAMPLES, rows_of, summary_of
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SIZES = (("line", 10), ("line", 100), ("line", PUBLISHED_SAMPLES), ("line", 3000), ("network", 100), ("network", 1000))
QUICK_SIZES = (("line", 100), ("line", PUBLISHED_SAMPLES), ("network", 100))
REPETITIONS, QUICK_REPETITIONS = 9, 5


class Jacobian:
    """Times of the routes to the Jacobian, of the published line and of a small network."""

    name = "jacobian"
    title = "Routes to the Jacobian"

    def cells(self, options: Options) -> list[Cell]:
        repetitions = QUICK_REPETITIONS if options.quick else REPETITIONS
        return [
            Cell(self.name, "timed", self.name, 0, (("model", model), ("samples", samples), ("repetitions", repetitions)))
            for model, samples in (QUICK_SIZES if options.quick else SIZES)
        ]

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        return times_record(str(settings["model"]), int(settings["samples"]), int(settings["repetitions"]), device)

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = rows_of(results)
        paths = [
            write_csv(rows, out / "jacobian_results.csv"),
            write_json({"experiment": self.name, "title": self.title, **summary_of(rows)}, out / "jacobian_summary.json"),
        ]
        return paths + draw_jacobian(rows, figure_paths(out / "jacobian_figure"))

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return jacobian_entries(self.name, results)
