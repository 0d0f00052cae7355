"""Experiment E1: the loss reduction of SGD and of the natural gradient at matched divergence."""

from pathlib import Path
from typing import Any

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.cost import Comparison, Cost, measure, seconds
from fishergauge.reports.cuda_draws import cuda_data
from fishergauge.reports.data import DataSet, load
from fishergauge.reports.e1_corrected import SMALL, matched_e1
from fishergauge.reports.e1_figure import draw_e1
from fishergauge.reports.e1_ledger import judge_e1
from fishergauge.reports.e1_published import METHODS, fast_e1
from fishergauge.reports.e1_tables import EPSILONS, Tables, write_tables
from fishergauge.reports.experiment import Results
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.natural_gradient import both_directions
from fishergauge.reports.notebook_e1 import kl_reported, notebook_e1
from fishergauge.reports.options import Options
from fishergauge.suites.benchmarks.memory import peak_bytes

SEEDS = 10


class E1:
    """Pareto frontier: one step of SGD and of the natural gradient from random parameters, at nine divergences.

    Cells: ``published`` and ``corrected`` for each seed; for the synthetic data also ``published`` with the draws of
    the published run (``draws=cuda``), and one ``baseline`` that compares the cost of the notebook's algorithm.
    """

    name = "e1"
    title = "Pareto frontier: loss reduction at matched per-step KL"

    def cells(self, options: Options) -> list[Cell]:
        """The cells that the options ask for."""
        seeds = range(options.seed_count(SEEDS, quick=2))
        cells = []
        for data in options.data:
            cells += [Cell("e1", "published", data, seed, (("draws", "cpu"),)) for seed in seeds]
            cells += [Cell("e1", "corrected", data, seed) for seed in seeds]
            if data == "synthetic":
                cells += [Cell("e1", "published", data, seed, (("draws", "cuda"),)) for seed in seeds]
                cells.append(Cell("e1", "baseline", data, 0, (("seeds", len(seeds)),)))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        """Compute a cell."""
        settings = dict(cell.settings)
        data = cuda_data(device) if settings.get("draws") == "cuda" else load(cell.data, device)
        if cell.protocol == "baseline":
            return _baseline(data, int(settings["seeds"]), device)
        weight = initial_parameters(cell.seed, data.num_features, data.num_classes, device)
        if cell.protocol == "corrected":
            return matched_e1(data.inputs, data.targets, weight, (*SMALL, *EPSILONS))
        record = fast_e1(data.inputs, data.targets, weight, EPSILONS)
        record["config"] = {"n_features": data.num_features, "n_classes": data.num_classes}
        directions, _ = both_directions(data.inputs, data.targets, weight)
        logits = data.inputs @ weight.T
        changes = dict(zip(METHODS, data.inputs @ directions.view(2, *weight.shape).mT, strict=True))
        for row in record["rows"]:  # the notebook's formula with the logits that were before the step
            row["kl_step_repaired"] = kl_reported(logits, logits - row["eta"] * changes[row["method"]])
        return record

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        """Write tables, summary and figure of one data set."""
        tables = Tables.of(results)
        if tables is None:
            return []
        return [*write_tables(tables, out), *draw_e1(tables, out)]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        """Judge the claims on one data set."""
        tables = Tables.of(results)
        return [] if tables is None else judge_e1(data, tables)


def _baseline(data: DataSet, seeds: int, device: str) -> Record:
    """Time both algorithms over all seeds, and their peak of memory over one; the figures of seed 0 for comparison."""
    weights = [initial_parameters(seed, data.num_features, data.num_classes, device) for seed in range(seeds)]
    problem = (data.inputs, data.targets)

    def notebook() -> list[dict[str, Any]]:
        return [notebook_e1(*problem, weight, EPSILONS) for weight in weights]

    def fast() -> list[dict[str, Any]]:
        return [fast_e1(*problem, weight, EPSILONS) for weight in weights]

    theirs = Cost(seconds(notebook, device), peak_bytes(lambda: notebook_e1(*problem, weights[0], EPSILONS), device))
    ours = measure(fast, device)
    slow_rows, fast_rows = (run(*problem, weights[0], EPSILONS)["rows"] for run in (notebook_e1, fast_e1))
    deviation = max(
        abs(b[name] / a[name] - 1) for a, b in zip(slow_rows, fast_rows, strict=True) for name in a if name != "method"
    )
    return {"rows": [], "costs": [Comparison("E1", 0, theirs, ours, deviation, seeds).row()]}
