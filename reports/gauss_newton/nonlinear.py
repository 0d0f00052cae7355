"""The experiment ``nonlinear``: what is left of GGN and Laplace where the function is not linear in its parameters."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.gauss_newton.nonlinear_claims import nonlinear_entries
from fishergauge.reports.gauss_newton.nonlinear_field import field_record
from fishergauge.reports.gauss_newton.nonlinear_figure import draw_nonlinear
from fishergauge.reports.gauss_newton.nonlinear_predictive import network_record, relu_record
from fishergauge.reports.gauss_newton.relu_model import relu_data
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SEEDS = 5
FRESH = 100  # added to a seed for data to test on


class Nonlinear:
    """A ReLU model of two parameters and a network: sampled against linearised Laplace."""

    name = "nonlinear"
    title = "Generalised Gauss-Newton and Laplace of nonlinear models"

    def cells(self, options: Options) -> list[Cell]:
        seeds = range(options.seed_count(SEEDS))
        cells = [Cell(self.name, "published", self.name, 0, (("study", study),)) for study in ("field", "relu")]
        cells += [Cell(self.name, "corrected", self.name, seed, (("study", "relu"),)) for seed in seeds]
        quick = (("quick", int(options.quick)), ("study", "network"))
        return cells + [Cell(self.name, "corrected", self.name, seed, quick) for seed in seeds]

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        data = relu_data(None if cell.protocol == "published" else cell.seed)
        if settings["study"] == "field":
            return field_record(data)
        if settings["study"] == "relu":
            return relu_record(data, relu_data(FRESH + cell.seed), cell.seed)
        return network_record(cell.seed, bool(settings["quick"]))

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows, hessians = [], []
        for cell, record in results:
            study = dict(cell.settings)["study"]
            rows += [{"study": study, "protocol": cell.protocol, **row} for row in record["rows"]]
            hessians += [{"protocol": cell.protocol, "seed": cell.seed, **row} for row in record.get("hessians", [])]
        paths = [write_csv(rows, out / "nonlinear_results.csv")]
        paths.append(write_json({"schema": 1, "title": self.title, "hessians": hessians}, out / "nonlinear_summary.json"))
        return paths + draw_nonlinear(results, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return nonlinear_entries(results)
