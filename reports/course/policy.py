"""Natural policy gradient and trust-region policy optimisation on CartPole."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.policy_claims import policy_entries
from fishergauge.reports.course.policy_figure import draw_policy
from fishergauge.reports.course.policy_measurements import COPIES, STEPS, learning_record, single_steps_record
from fishergauge.reports.course.policy_tables import best_sizes, run_rows
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json

SIZES = {"gradient": (1.0, 3.0, 10.0), "natural": (0.1, 0.3, 1.0), "trpo": (0.01,)}
"""alpha of the two gradients, delta of TRPO (the value of Schulman et al., not tuned)."""
QUICK_SIZES = {"gradient": (3.0,), "natural": (0.3,), "trpo": (0.01,)}
UPDATES = 32
QUICK_UPDATES = 8
SEEDS = 3


class Policy:
    """The policy gradient, the natural policy gradient and TRPO with equal numbers of environment steps."""

    name = "policy"
    title = "Natural policy gradients on CartPole"

    def cells(self, options: Options) -> list[Cell]:
        sizes, updates = (QUICK_SIZES, QUICK_UPDATES) if options.quick else (SIZES, UPDATES)
        cells = []
        for seed in range(options.seed_count(SEEDS)):
            cells.append(Cell(self.name, "corrected", self.name, seed, (("study", "steps"),)))
            for method, tried in sizes.items():
                for size in tried:
                    settings = (("study", "learning"), ("method", method), ("size", size), ("updates", updates))
                    cells.append(Cell(self.name, "corrected", self.name, seed, settings))
        return cells

    def run(self, cell: Cell, device: str) -> Record:
        """One run or one batch; policy and environment are small, and stay on the CPU whatever the device."""
        settings = dict(cell.settings)
        if settings["study"] == "steps":
            return single_steps_record(cell.seed)
        return learning_record(str(settings["method"]), float(settings["size"]), cell.seed, int(settings["updates"]))

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        rows = [row for _, record in results for row in record["rows"]]
        runs = run_rows([row for row in rows if row["study"] == "learning"])
        entries = policy_entries(results)
        summary = {
            "schema": 1,
            "title": self.title,
            "steps_per_update": COPIES * STEPS,
            "runs": runs,
            "best_sizes": best_sizes(runs),
            "verdicts": {entry.id: entry.verdict for entry in entries},
            "figures": {entry.id: entry.figures for entry in entries},
        }
        return [
            write_csv(rows, out / "policy_results.csv"),
            write_json(summary, out / "policy_summary.json"),
            *draw_policy(rows, out),
        ]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return policy_entries(results)
