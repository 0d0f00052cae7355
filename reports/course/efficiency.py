"""Computational efficiency: operations, memory and time of every approximation against the number of parameters."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.costed_approximations import costed
from fishergauge.reports.course.efficiency_claims import efficiency_entries
from fishergauge.reports.course.efficiency_figure import draw_efficiency
from fishergauge.reports.course.efficiency_measurements import cost_record
from fishergauge.reports.course.efficiency_tables import exponents, table
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SQUARE = ("dense", "blocks")  # kinds that keep of order P^2 numbers
WIDTHS = {True: (8, 12, 16, 24, 32, 40), False: (8, 16, 32, 40, 64, 96, 136)}
QUICK_WIDTHS = {True: (8, 12, 16), False: (8, 16, 32)}
REPETITIONS = 3


class Efficiency:
    """Forming, applying and solving with every approximation of the kit, on perceptrons of growing width."""

    name = "efficiency"
    title = "Computational efficiency of approximations of the Fisher"

    def cells(self, options: Options) -> list[Cell]:
        """A timed cell for each approximation."""
        widths, repetitions = (QUICK_WIDTHS, 1) if options.quick else (WIDTHS, REPETITIONS)
        return [
            Cell("efficiency", "timed", "efficiency", 0, _settings(name, widths[one.kind in SQUARE], repetitions))
            for name, one in costed().items()
        ]

    def run(self, cell: Cell, device: str) -> Record:
        """Compute a cell."""
        settings = dict(cell.settings)
        widths = [int(width) for width in str(settings["widths"]).split(",")]
        return cost_record(costed()[str(settings["approximation"])], widths, int(settings["repetitions"]), device)

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        """Rows, exponents and figure."""
        rows = table(results)
        summary = {"experiment": self.name, "title": self.title, "exponents": exponents(rows)}
        paths = [
            write_csv(rows, out / "efficiency_results.csv"),
            write_csv(exponents(rows), out / "efficiency_exponents.csv"),
            write_json(summary, out / "efficiency_summary.json"),
        ]
        return paths + draw_efficiency(rows, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        """The claims on cost."""
        return efficiency_entries(results)


def _settings(name: str, widths: tuple[int, ...], repetitions: int) -> tuple[tuple[str, int | float | str], ...]:
    return (("approximation", name), ("widths", ",".join(map(str, widths))), ("repetitions", repetitions))
