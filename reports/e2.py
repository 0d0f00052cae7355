"""Experiment E2: learning at a prescribed KL divergence per step."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.cuda_draws import cuda_data
from fishergauge.reports.data import load
from fishergauge.reports.e2_corrected import matched_training
from fishergauge.reports.e2_figure import draw_e2
from fishergauge.reports.e2_ledger import judge_e2
from fishergauge.reports.e2_published import controlled_training
from fishergauge.reports.e2_tables import EPSILONS, Runs, write_tables
from fishergauge.reports.experiment import Results
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options

SEEDS = 5
EPOCHS = 100
QUICK_EPOCHS = 20


class E2:
    """KL-controlled learning: full-batch softmax regression by SGD and by the natural gradient at three divergences.

    Cells: ``published`` and ``corrected`` for each seed, both for all divergences and methods at once; for the synthetic
    data also ``published`` with the draws of the published run (``draws=cuda``).
    """

    name = "e2"
    title = "KL-controlled learning"

    def cells(self, options: Options) -> list[Cell]:
        """The cells that the options ask for."""
        epochs = ("epochs", QUICK_EPOCHS if options.quick else EPOCHS)
        cells = []
        for data in options.data:
            for seed in range(options.seed_count(SEEDS, quick=2)):
                draws = ("cpu", "cuda") if data == "synthetic" else ("cpu",)
                cells += [Cell("e2", "published", data, seed, (("draws", draw), epochs)) for draw in draws]
                cells.append(Cell("e2", "corrected", data, seed, (epochs,)))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        """Compute a cell."""
        settings = dict(cell.settings)
        data = cuda_data(device) if settings.get("draws") == "cuda" else load(cell.data, device)
        weight = initial_parameters(cell.seed, data.num_features, data.num_classes, device)
        train = matched_training if cell.protocol == "corrected" else controlled_training
        record = train(data, weight, EPSILONS, int(settings["epochs"]))
        return record | {"config": {"n_features": data.num_features, "n_classes": data.num_classes}}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        """Write tables, metadata and figure of one data set."""
        runs = Runs.of(results)
        return [] if runs is None else [*write_tables(runs, out), *draw_e2(runs, out)]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        """Judge the claims on one data set."""
        runs = Runs.of(results)
        return [] if runs is None else judge_e2(data, runs)
