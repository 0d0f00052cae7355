"""Exponents of growth as rows of a table and as Markdown."""

from collections.abc import Sequence
from typing import Any

from fishergauge.suites.benchmarks.scaling import MEASURES, NO_FORM, TOLERANCE, ScalingRow

AXES = ("N", "P", "C")
NAMES = {"flops": "operations", "bytes": "bytes"}
CAPTION = (
    "Exponents of growth, fitted to counts at the largest three sizes; in brackets those of the closed form at the same sizes, "
    f"with its terms of lower order. Red: operations whose exponent is more than {TOLERANCE} from it, bytes that grow faster. "
    "Of softmax regression the number of inputs D stands for P."
)


def csv_rows(rows: Sequence[ScalingRow]) -> list[dict[str, Any]]:
    """One row a point, with the exponents repeated; numbers that were not measured are None.

    Args:
        rows: of :func:`~fishergauge.suites.benchmarks.scaling.measure_scaling`.
    """
    table = []
    for row in rows:
        common = {
            "implementation": row.implementation,
            "quantity": row.quantity,
            "operation": row.operation,
            "family": row.family,
            "axis": row.axis,
            "held": row.held,
            "measure": row.measure,
        }
        ends = {
            "exponent": row.exponent,
            "theory": row.theory,
            "leading": row.leading,
            "wrong": row.wrong,
            "reason": row.reason,
        }
        points: list[tuple[int | None, float | None]] = list(zip(row.sizes, row.costs, strict=True)) or [(None, None)]
        table += [{**common, "size": size, "cost": cost, **ends} for size, cost in points]
    return table


def scaling_markdown(rows: Sequence[ScalingRow]) -> str:
    """The exponents as a Markdown table, a line an implementation, task and family; below it what is wrong.

    Args:
        rows: of :func:`~fishergauge.suites.benchmarks.scaling.measure_scaling`.
    """
    left_out = no_closed_form(rows)
    rows = [row for row in rows if row.reason != NO_FORM]
    if not rows:
        return "Exponents of growth: not counted.\n"
    heads = [f"{NAMES[measure]}: {axis}" for measure in MEASURES for axis in (*AXES, "leading term")]
    heads = [head.replace("leading term", "theory") for head in heads]
    lines = [
        CAPTION,
        "",
        f"| implementation | task | problems | {' | '.join(heads)} |",
        "| --- | --- | --- " + ("| ---: " * len(AXES) + "| --- ") * len(MEASURES) + "|",
    ]
    for name, quantity, operation, family in dict.fromkeys((r.implementation, r.quantity, r.operation, r.family) for r in rows):
        own = [r for r in rows if (r.implementation, r.quantity, r.operation, r.family) == (name, quantity, operation, family)]
        cells = []
        for measure in MEASURES:
            cells += [_cell(own, measure, axis) for axis in AXES]
            cells.append(next((row.leading for row in own if row.measure == measure), ""))
        lines.append(f"| {name} | {quantity}/{operation} | {family} | {' | '.join(cells)} |")
    wrong = [row for row in rows if row.wrong]
    lines += ["", f"{len(rows)} exponents, {len(wrong)} wrong."]
    lines += [
        f"- {row.implementation} {row.quantity}/{row.operation}, {row.measure} in {row.axis}: {row.reason}" for row in wrong
    ]
    lines += ["", left_out] if left_out else []
    return "\n".join(lines) + "\n"


def no_closed_form(rows: Sequence[ScalingRow], most: int | None = None) -> str:
    """Which implementations were not counted for want of a closed form, and for which tasks; empty where there are none.

    Args:
        rows: of :func:`~fishergauge.suites.benchmarks.scaling.measure_scaling`.
        most: tasks of an implementation that are named; of more the number is given.
    """
    tasks: dict[str, list[str]] = {}
    for row in rows:
        if row.reason == NO_FORM:
            tasks.setdefault(row.implementation, []).append(f"{row.quantity}/{row.operation}")
    named = [
        f"{name} ({', '.join(own) if most is None or len(own) <= most else f'{len(own)} tasks'})" for name, own in tasks.items()
    ]
    return f"{NO_FORM}: {'; '.join(named)}" if named else ""


def _cell(rows: Sequence[ScalingRow], measure: str, axis: str) -> str:
    """The exponent, and that of theory in brackets; bold with a cross where it is wrong."""
    for row in rows:
        if row.measure == measure and row.axis in ({"P": ("P", "D")}.get(axis, (axis,))):
            if row.exponent is None:
                return "**failed**" if row.wrong else "-"
            text = f"{row.exponent:.2f}" + ("" if row.theory is None else f" ({row.theory:.2f})")
            return f"**{text} ✗**" if row.wrong else text
    return ""
