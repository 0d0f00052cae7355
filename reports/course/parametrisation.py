"""Invariance of training curves under reparametrisations: the third experiment of the course."""

from pathlib import Path
from typing import Any

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.parametrisation_claims import parametrisation_entries
from fishergauge.reports.course.parametrisation_curves import METHODS
from fishergauge.reports.course.parametrisation_figure import draw_parametrisation
from fishergauge.reports.course.parametrisation_measurements import damped_rows, law_rows, linear_rows, smooth_rows
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

LINEAR = ("scaling", "inputs-affine", "hidden-affine", "affine", "dense")
SMOOTH = ("sinh", "spherical", "exp")
KAPPAS = "10,100,10000"
DAMPINGS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
QUICK_DAMPINGS = (1e-6, 1e-5, 1.0)
LAW = (("scaling", 10.0), ("affine", 10.0), ("dense", 10.0), ("sinh", 1.0), ("spherical", 1.0), ("exp", 1.0))
DAMPED_KAPPA = 100.0
HALVINGS = 4  # with three the order of some seed is not yet that of small steps
SEEDS = 2


class Parametrisation:
    """Training curves of five methods in the original and in other coordinates."""

    name = "parametrisation"
    title = "Invariance of training curves under reparametrisations"

    def cells(self, options: Options) -> list[Cell]:
        cells = []
        linear, smooth = (("scaling", "affine"), ("sinh",)) if options.quick else (LINEAR, SMOOTH)
        for seed in range(options.seed_count(SEEDS)):
            for family in linear:
                kappas = "10,10000" if options.quick else KAPPAS
                cells.append(self._cell(seed, study="linear", family=family, kappas=kappas))
            for family in smooth:
                cells.append(self._cell(seed, study="smooth", family=family, halvings=HALVINGS))
            cells.append(self._cell(seed, study="law"))
            dampings = QUICK_DAMPINGS if options.quick else DAMPINGS
            cells.append(self._cell(seed, study="damped", dampings=",".join(f"{damping:g}" for damping in dampings)))
        return cells

    def _cell(self, seed: int, **settings: int | float | str) -> Cell:
        return Cell(self.name, "corrected", self.name, seed, tuple(settings.items()))

    def run(self, cell: Cell, device: str) -> Record:
        return {"rows": [{"seed": cell.seed, **row} for row in _rows(dict(cell.settings), cell.seed, device)]}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = [row for _, record in results for row in record["rows"]]
        entries = parametrisation_entries(results)
        summary = {
            "schema": 1,
            "title": self.title,
            "verdicts": {entry.id: entry.verdict for entry in entries},
            "figures": {entry.id: entry.figures for entry in entries},
        }
        return [
            write_csv(rows, out / "parametrisation_results.csv"),
            write_json(summary, out / "parametrisation_summary.json"),
            *draw_parametrisation(rows, out),
        ]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return parametrisation_entries(results)


def _rows(settings: dict[str, int | float | str], seed: int, device: str) -> list[dict[str, Any]]:
    study = settings["study"]
    if study == "linear":
        kappas = [float(kappa) for kappa in str(settings["kappas"]).split(",")]
        return linear_rows(str(settings["family"]), kappas, METHODS, seed, device)
    if study == "smooth":
        return smooth_rows(str(settings["family"]), int(settings["halvings"]), seed, device)
    if study == "law":
        return law_rows(LAW, seed, device)
    return damped_rows(DAMPED_KAPPA, [float(damping) for damping in str(settings["dampings"]).split(",")], seed, device)
