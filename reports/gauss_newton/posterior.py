"""The experiment ``posterior``: is the axis of an ellipse the kernel of the GGN, and what does a real kernel do?"""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.gauss_newton.log_normal_regression import drawn_data, published_data
from fishergauge.reports.gauss_newton.posterior_axes import axes_record
from fishergauge.reports.gauss_newton.posterior_claims import posterior_entries
from fishergauge.reports.gauss_newton.posterior_figure import draw_posterior
from fishergauge.reports.gauss_newton.posterior_split import split_record
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SAMPLES = (2, 4, 8, 12, 16, 20, 24, 32, 64)
SEEDS = 5


class Posterior:
    """Kernel and image of the Laplace posterior of linear models."""

    name = "posterior"
    title = "Kernel and image of a Laplace posterior"

    def cells(self, options: Options) -> list[Cell]:
        seeds = range(options.seed_count(SEEDS))
        cells = [Cell(self.name, "published", self.name, 0, (("study", "axes"),))]
        cells += [Cell(self.name, "corrected", self.name, seed, (("study", "axes"),)) for seed in seeds]
        return cells + [Cell(self.name, "corrected", self.name, seed, (("study", "split"),)) for seed in seeds]

    def run(self, cell: Cell, device: str) -> Record:
        if dict(cell.settings)["study"] == "axes":
            return axes_record(published_data() if cell.protocol == "published" else drawn_data(cell.seed))
        records = [split_record(samples, cell.seed) for samples in SAMPLES]
        shown = records[SAMPLES.index(8)]
        return {"rows": [row for record in records for row in record["rows"]], "curves": shown["curves"]}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = [
            {"study": dict(cell.settings)["study"], "protocol": cell.protocol, "data_seed": cell.seed, **row}
            for cell, record in results
            for row in record["rows"]
        ]
        summaries = [
            {"protocol": cell.protocol, "seed": cell.seed, **record["summary"]}
            for cell, record in results
            if "summary" in record
        ]
        paths = [write_csv(rows, out / "posterior_results.csv")]
        paths.append(write_json({"schema": 1, "title": self.title, "regressions": summaries}, out / "posterior_summary.json"))
        return paths + draw_posterior(results, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return posterior_entries(results)
