"""Convergence on ill-conditioned problems, with predicted rates: the sixth experiment of the course."""

from pathlib import Path
from typing import Any

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.convergence_claims import convergence_entries
from fishergauge.reports.course.convergence_deep_linear import deep_linear_rows
from fishergauge.reports.course.convergence_figure import draw_convergence
from fishergauge.reports.course.convergence_least_squares import least_squares_rows
from fishergauge.reports.course.convergence_logistic import logistic_rows
from fishergauge.reports.course.convergence_noise import noise_rows
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

STUDIES = {
    "least squares": ((1e1, 1e2, 1e3, 1e4, 1e5, 1e6), (1e1, 1e3, 1e6)),
    "logistic": ((3, 5, 8, 10), (3, 5)),
    "noise": ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0), (0.3, 0.7, 2.0)),
    "deep linear": ((1, 2, 3, 4), (1, 2, 3)),
}
"""What each study sweeps over: in full, and quickly."""
DEEP_KAPPAS = (1.0, 1e4)
SEEDS = 2


class Convergence:
    """Predicted and measured rates of natural and standard gradients."""

    name = "convergence"
    title = "Convergence on ill-conditioned problems, predicted and measured"

    def cells(self, options: Options) -> list[Cell]:
        cells = []
        for study, sweeps in STUDIES.items():
            sweep = ",".join(f"{value:g}" for value in sweeps[options.quick])
            for seed in range(options.seed_count(SEEDS)):
                cells.append(Cell(self.name, "corrected", self.name, seed, (("study", study), ("sweep", sweep))))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        sweep = [float(value) for value in str(settings["sweep"]).split(",")]
        return {"rows": [{"seed": cell.seed, **row} for row in _rows(str(settings["study"]), sweep, cell.seed, device)]}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = [row for _, record in results for row in record["rows"]]
        entries = convergence_entries(results)
        summary = {
            "schema": 1,
            "title": self.title,
            "verdicts": {f"{entry.id} on {entry.data}": entry.verdict for entry in entries},
            "figures": {f"{entry.id} on {entry.data}": entry.figures for entry in entries},
        }
        return [
            write_csv(rows, out / "convergence_results.csv"),
            write_json(summary, out / "convergence_summary.json"),
            *draw_convergence(rows, out),
        ]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return convergence_entries(results)


def _rows(study: str, sweep: list[float], seed: int, device: str) -> list[dict[str, Any]]:
    if study == "least squares":
        return least_squares_rows(sweep, seed, device)
    if study == "logistic":
        return logistic_rows([int(features) for features in sweep], seed, device)
    if study == "noise":
        return noise_rows(sweep, seed, device)
    return deep_linear_rows([int(depth) for depth in sweep], DEEP_KAPPAS, seed, device)
