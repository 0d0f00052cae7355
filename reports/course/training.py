"""The experiment ``training``: K-FAC against SGD with momentum and Adam on a perceptron and a convolutional network."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.training_claims import compared_of, training_entries
from fishergauge.reports.course.training_figure import draw_training
from fishergauge.reports.course.training_runs import (
    EPOCHS,
    METHODS,
    MODELS,
    RATES,
    SECOND,
    step_seconds,
    training_rows,
)
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SEEDS = 3  # beside the one by which hyper-parameters are chosen
QUICK_EPOCHS = 4
QUICK_RATES = (1e-2, 1e-1)


class Training:
    """K-FAC as an optimiser on the digits, tuned over the same grid as its rivals."""

    name = "training"
    title = "K-FAC against SGD with momentum and Adam"

    def cells(self, options: Options) -> list[Cell]:
        models = MODELS[:1] if options.quick else MODELS
        epochs = QUICK_EPOCHS if options.quick else EPOCHS
        cells = [Cell(self.name, "timed", self.name, 0, (("model", model),)) for model in models]
        for model in models:
            for seed in range(options.seed_count(SEEDS) + 1):
                for method in METHODS:
                    settings = (("epochs", epochs), ("method", method), ("model", model), ("quick", int(options.quick)))
                    cells.append(Cell(self.name, "corrected", self.name, seed, settings))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        model = str(settings["model"])
        if cell.protocol == "timed":
            rows = [{"model": model, "method": method, "step_seconds": step_seconds(model, method)} for method in METHODS]
            return {"rows": rows}
        method, epochs, rows = str(settings["method"]), int(settings["epochs"]), []
        for rate in QUICK_RATES if settings["quick"] else RATES:
            for second in SECOND[method][:1] if settings["quick"] else SECOND[method]:
                point = {"model": model, "method": method, "seed": cell.seed, "rate": rate, "second": second}
                rows += [{**point, **row} for row in training_rows(model, method, rate, second, cell.seed, epochs)]
        return {"rows": rows, "epochs": epochs}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        compared = compared_of(results)
        rows = [row for cell, record in results if cell.protocol != "timed" for row in record["rows"]]
        seconds = [row for cell, record in results if cell.protocol == "timed" for row in record["rows"]]
        paths = [write_csv(rows, out / "training_results.csv"), write_csv(compared, out / "training_compared.csv")]
        summary = {"schema": 1, "title": self.title, "step_seconds": seconds, "compared": compared}
        paths.append(write_json(summary, out / "training_summary.json"))
        return paths + draw_training(results, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return training_entries(results)
