"""Quality of approximations: entries, steps and gains of every approximation in the place of the exact Fisher."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.compared_approximations import REPETITIONS
from fishergauge.reports.course.digit_problems import SAMPLES
from fishergauge.reports.course.quality_claims import quality_entries
from fishergauge.reports.course.quality_figure import draw_quality
from fishergauge.reports.course.quality_measurements import regression_record, run_record
from fishergauge.reports.course.quality_tables import pooled, predictions, ranked, table
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SEEDS = 2
ARCHITECTURES = ("mlp", "cnn")
QUICK_SAMPLES = 60


class Quality:
    """Every approximation of the kit on two networks and the digits, at three points of a run."""

    name = "quality"
    title = "Quality of approximations of the Fisher"

    def cells(self, options: Options) -> list[Cell]:
        """A cell for each network and seed, and one for the control on linear regression; a quick run has one network."""
        architectures = ARCHITECTURES[:1] if options.quick else ARCHITECTURES
        samples, repetitions = (QUICK_SAMPLES, 1) if options.quick else (SAMPLES, REPETITIONS)
        shared = (("samples", samples), ("repetitions", repetitions), ("points", 2 if options.quick else 3))
        cells = [
            Cell("quality", "corrected", "quality", seed, (("architecture", architecture), *shared))
            for architecture in architectures
            for seed in range(options.seed_count(SEEDS))
        ]
        return [*cells, Cell("quality", "published", "quality", 0, (("study", "regression"),))]

    def run(self, cell: Cell, device: str) -> Record:
        """Compute a cell."""
        settings = dict(cell.settings)
        if settings.get("study") == "regression":
            return regression_record(device)
        samples, repetitions = int(settings["samples"]), int(settings["repetitions"])
        ends = settings["points"] == 2
        return run_record(str(settings["architecture"]), cell.seed, samples, repetitions, device, ends)

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        """Rows, summary and figure."""
        rows, points = table(results), table(results, "points")
        if not rows:
            return []
        summary = {
            "experiment": self.name,
            "title": self.title,
            "points": points,
            "ranking": ranked(pooled(rows)),
            "rank_correlations": predictions(rows),
        }
        paths = [
            write_csv(rows, out / "quality_results.csv"),
            write_csv(pooled(rows), out / "quality_pooled.csv"),
            write_json(summary, out / "quality_summary.json"),
        ]
        return paths + draw_quality(rows, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        """The claims on the quality of approximations."""
        return quality_entries(results)
