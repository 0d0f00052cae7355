"""How counted cost grows with N, P and C, measured for ``fishergauge bench --scaling``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fishergauge.reports.bench_plan import BenchPlan
from fishergauge.reports.tables import write_csv
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.scaling import NO_FORM, ScalingRow, measure_scaling
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


def scaling_of(plan: BenchPlan, quick: bool, progress: Callable[[int, int, object], None] | None = None) -> Scaling:
    """Count the implementations of a plan on the grid.

    Args:
        plan: of the run; its problems play no part.
        quick: smaller problems.
        progress: is told the number of implementations so far, of all, and the current one.
    """
    started = 0

    def told(what: str) -> None:
        nonlocal started
        if progress is not None:
            progress(started, len(plan.implementations), f"growth of {what}")
        started += 1

    rows = measure_scaling(plan.implementations, quick=quick, progress=told)
    return Scaling(tuple(rows))


def write_scaling(scaling: Scaling, out: Path) -> list[Path]:
    """Write table and document.

    Args:
        scaling: measured.
        out: the folder.
    """
    document = out / "scaling.md"
    document.write_text("# How costs grow\n\n" + scaling_markdown(scaling.rows), encoding="utf-8")
    return [write_csv(csv_rows(scaling.rows), out / "scaling.csv"), document]
