"""How counted cost grows with N, P and C, measured for ``fishergauge bench --scaling``."""

from dataclasses import dataclass, replace
from pathlib import Path

from fishergauge.reports.bench_plan import BenchPlan
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_bench import growth_cell, read_rows
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import Progress, sweep
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.reports.tables import write_csv
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.scaling import NO_FORM, ScalingRow, left_out
from fishergauge.suites.benchmarks.scaling_tables import csv_rows, no_closed_form, scaling_markdown
from fishergauge.suites.benchmarks.scaling_theory import expected
from fishergauge.suites.wording import number, plural, some, wrapped


@dataclass(frozen=True)
class Scaling:
    """How costs grow.

    Args:
        rows: a cost of an implementation along an axis.
    """

    rows: tuple[ScalingRow, ...]

    @property
    def wrong(self) -> list[ScalingRow]:
        """Where the exponent contradicts theory."""
        return [row for row in self.rows if row.wrong]

    def text(self) -> str:
        """What is wrong, and a summary line."""
        lines = [
            f"  red  {row.implementation} {row.quantity}/{row.operation} on {row.family}, {row.measure} against {row.axis}: "
            f"{row.reason or f'exponent {number(row.exponent)}, theory says {number(row.theory)}'}"
            for row in self.wrong
        ]
        judged = sum(row.theory is not None for row in self.rows)
        refused = [row for row in self.rows if row.reason and row.reason != NO_FORM and not row.wrong]
        skipped = [f"{row.implementation} {row.quantity}/{row.operation}" for row in refused]
        left = f"; not counted: {some(skipped, 4)}" if skipped else ""
        summary = f"{plural(judged, 'exponent')} against theory: {len(self.wrong)} wrong{left}"
        red = [part for line in lines for part in wrapped(line, rest=" " * 9)]
        return "\n".join(["scaling", *red, *wrapped(summary), *wrapped(no_closed_form(self.rows, 4), rest="  ")])


def require_closed_forms(plan: BenchPlan) -> None:
    """Refuse a plan of which nothing could be compared with theory.

    Args:
        plan: of the run.

    Raises:
        UsageError: for none of its implementations a closed form is known.
    """
    if not any(expected(one) for one in plan.implementations):
        raise UsageError(
            "--scaling: no closed form is known for any of these implementations; choose other tasks, or leave --scaling out"
        )


def growth_cells(plan: BenchPlan, quick: bool) -> dict[Implementation, SweepCell]:
    """The cells of the implementations of a plan of which theory says something.

    Args:
        plan: of the run; its problems play no part.
        quick: smaller problems.
    """
    return {one: growth_cell(one, plan, quick) for one in plan.implementations if expected(one) is not None}


def scaling_of(plan: BenchPlan, quick: bool, store: SweepStore, engine: Engine, progress: Progress | None = None) -> Scaling:
    """Count the implementations of a plan on the grid.

    Args:
        plan: of the run; its problems play no part.
        quick: smaller problems.
        store: of the run.
        engine: counts.
        progress: is told the number of finished implementations, of all, and the last one.
    """
    cells = growth_cells(plan, quick)
    lines = sweep(list(cells.values()), store, engine, progress, say=lambda line: None)
    rows: list[ScalingRow] = []
    for one, cell in cells.items():
        line = lines[cell]
        rows += read_rows(line.result) if line.verdict == "done" else [replace(left_out(one), wrong=True, reason=line.error)]
    return Scaling((*rows, *(left_out(one) for one in plan.implementations if one not in cells)))


def write_scaling(scaling: Scaling, out: Path) -> list[Path]:
    """Write table and document.

    Args:
        scaling: measured.
        out: the folder.
    """
    document = out / "scaling.md"
    document.write_text("# How costs grow\n\n" + scaling_markdown(scaling.rows), encoding="utf-8")
    return [write_csv(csv_rows(scaling.rows), out / "scaling.csv"), document]
