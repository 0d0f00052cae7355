"""The vector field of a linear regression: gradient, natural gradient by the GGN, and empirical Fisher."""

from pathlib import Path
from typing import Any

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.gauss_newton.log_normal_regression import PUBLISHED_SEED
from fishergauge.reports.gauss_newton.vector_field_claims import vector_field_entries
from fishergauge.reports.gauss_newton.vector_field_figure import draw_vector_field
from fishergauge.reports.gauss_newton.vector_field_measurements import STEP, draws_record, published_record, samples_record
from fishergauge.reports.gauss_newton.vector_field_tables import Found, found_in, summary_of
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

DRAWS, SAMPLE_DRAWS = 20, 10
COUNTS, QUICK_COUNTS = "100,1000,10000,100000,1000000", "100,1000,10000,100000"


class VectorField:
    """Fields and paths of three methods, for the published linear regression."""

    name = "vector-field"
    title = "Vector field of a linear regression"

    def cells(self, options: Options) -> list[Cell]:
        step = 10 * STEP if options.quick else STEP
        draws, sample_draws = options.seed_count(DRAWS, quick=3), options.seed_count(SAMPLE_DRAWS, quick=5)
        counts = QUICK_COUNTS if options.quick else COUNTS
        return [
            self._cell("published", PUBLISHED_SEED, study="paths", step=step),
            self._cell("corrected", 0, study="draws", draws=draws),
            self._cell("corrected", 0, study="samples", draws=sample_draws, counts=counts),
        ]

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        if settings["study"] == "paths":
            return published_record(float(settings["step"]), device)
        if settings["study"] == "draws":
            return draws_record(int(settings["draws"]), device)
        return samples_record([int(count) for count in str(settings["counts"]).split(",")], int(settings["draws"]), device)

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        found = found_in(results)
        paths = [
            write_csv(found.paths + found.drawn_paths, out / "vector_field_results.csv"),
            write_csv(found.grid, out / "vector_field_grid.csv"),
            write_csv(found.samples, out / "vector_field_samples.csv"),
            write_json({"experiment": self.name, "title": self.title, **summary_of(found)}, out / "vector_field_summary.json"),
        ]
        return paths + (self._figure(found, out) if found.complete else [])

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        found = found_in(results)
        return vector_field_entries(self.name, found) if found.complete else []

    def _cell(self, protocol: str, seed: int, **settings: Any) -> Cell:
        return Cell(self.name, protocol, self.name, seed, tuple(settings.items()))

    def _figure(self, found: Found, out: Path) -> list[Path]:
        return draw_vector_field(found, figure_paths(out / "vector_field_figure"))
