"""Fisher against Hessian along a training run: the first experiment of the course."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.newton_claims import newton_entries
from fishergauge.reports.course.newton_figure import draw_newton
from fishergauge.reports.course.newton_interpolation import interpolation_rows
from fishergauge.reports.course.newton_measurements import adam_path, checkpoint_row
from fishergauge.reports.course.newton_problems import CONVEX, MODELS, newton_problem
from fishergauge.reports.course.newton_training import convex_rows, network_rows
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

CHECKPOINTS = {False: {True: (0, 30, 300), False: (0, 10, 30, 100, 300, 1000)}, True: {True: (0, 30), False: (0, 30, 300)}}
"""Steps of Adam, in full and quickly (the outer key); for the convex models and the networks (the inner one)."""
RATES = {"logistic": 0.05, "softmax": 0.05, "classifier": 0.02, "regression": 0.02}
NOISES = (0.0, 0.001, 0.01, 0.1, 1.0)
SEEDS = 3


class Newton:
    """Fisher against Hessian, natural gradient against Newton's method."""

    name = "newton"
    title = "Fisher against Hessian along a training run"

    def cells(self, options: Options) -> list[Cell]:
        seeds = range(options.seed_count(SEEDS))
        cells = [Cell(self.name, "corrected", self.name, 0, (("study", "convex"),))]
        for seed in seeds:
            for model in MODELS:
                if seed == 0 or model not in CONVEX:
                    steps = ",".join(str(step) for step in CHECKPOINTS[options.quick][model in CONVEX])
                    settings = (("study", "run"), ("model", model), ("checkpoints", steps))
                    cells.append(Cell(self.name, "corrected", self.name, seed, settings))
            cells.append(Cell(self.name, "corrected", self.name, seed, (("study", "interpolation"),)))
        for seed in range(2 if options.quick else 2 * len(seeds)):
            cells.append(Cell(self.name, "corrected", self.name, seed, (("study", "network"),)))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        settings = dict(cell.settings)
        if settings["study"] == "convex":
            return {"rows": convex_rows(device)}
        if settings["study"] == "interpolation":
            return {"rows": [{"seed": cell.seed, **row} for row in interpolation_rows(NOISES, cell.seed, device)]}
        if settings["study"] == "network":
            return {"rows": network_rows([cell.seed], device)}
        model, steps = str(settings["model"]), [int(step) for step in str(settings["checkpoints"]).split(",")]
        path = adam_path(newton_problem(model, cell.seed, device), steps, RATES[model])
        rows = [
            {"study": "run", "model": model, "seed": cell.seed, "step": step, **checkpoint_row(problem)}
            for step, problem in zip(steps, path, strict=True)
        ]
        return {"rows": rows}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = [row for _, record in results for row in record["rows"]]
        entries = newton_entries(results)
        summary = {
            "schema": 1,
            "title": self.title,
            "verdicts": {f"{entry.id} on {entry.data}": entry.verdict for entry in entries},
            "figures": {f"{entry.id} on {entry.data}": entry.figures for entry in entries},
        }
        return [
            write_csv(rows, out / "newton_results.csv"),
            write_json(summary, out / "newton_summary.json"),
            *draw_newton(rows, out),
        ]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return newton_entries(results)
