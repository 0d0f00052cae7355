"""The files of accuracy against cost: all rows as CSV and JSON, the tables as Markdown, the figure."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from fishergauge.reports.accuracy_execution import Plan
from fishergauge.reports.accuracy_figure import draw_accuracy
from fishergauge.reports.accuracy_measurement import DAMPING
from fishergauge.reports.accuracy_problems import PROBLEMS
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.accuracy_tables import LEGEND, by_problem, result, sections, summary_line
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.provenance import versions, write_provenance
from fishergauge.reports.row_json import rows_json
from fishergauge.suites.atomic import write_atomically

SCHEMA = 1
WHOLE = ("flops", "step_flops", "stored", "forward_passes", "backward_passes")


def write_artefacts(rows: Sequence[Row], plan: Plan, command: str, out: Path) -> list[Path]:
    """Write ``accuracy.csv``, ``.json``, ``.md``, ``.png`` and ``.svg``, and what they come from in ``provenance.json``.

    But for ``timed_seconds`` they depend on rows, plan, command and versions only: the same run gives the same bytes.

    Args:
        rows: of a measurement.
        plan: that they were measured for.
        command: the command line.
        out: an existing folder.

    Returns:
        The paths of the five files.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    paths = [out / f"accuracy.{kind}" for kind in ("csv", "json", "md")]
    drawn = draw_accuracy(rows, figure_paths(out / "accuracy", ("png", "svg")))
    table = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(Row)])
    table = table.astype(dict.fromkeys(WHOLE, "Int64"))
    document = ["# Accuracy against cost", summary_line(rows), LEGEND, "![cost and distance](accuracy.png)"]
    write_atomically(paths[0], table.to_csv(index=False, lineterminator="\n"))
    write_atomically(paths[2], "\n\n".join([*document, *(section.markdown() for section in sections(rows))]) + "\n")
    write_atomically(paths[1], _json(rows, plan, command))  # the last, as the page looks for it
    paths += drawn
    write_provenance(paths, [], "cpu", command, out)
    return paths


def _json(rows: Sequence[Row], plan: Plan, command: str) -> str:
    """Schema, provenance, plan and problems, and a line for each row."""
    head = {
        "schema": SCHEMA,
        "provenance": {"command": command, "seed": plan.seed, "versions": versions()},
        "plan": {
            "quick": plan.quick,
            "damping": DAMPING,
            "problems": plan.problems,
            "approximations": plan.approximations,
            "subjects": [subject.name for subject in plan.subjects],
        },
        "problems": [_about(name, group) for name, group in by_problem(rows).items()],
    }
    return rows_json(head, rows)


def _about(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """What a problem is, and what was found on it."""
    problem = PROBLEMS[name].build()
    sizes = {"parameters": problem.num_parameters, "samples": problem.num_samples}
    chosen = PROBLEMS[name]
    return {"name": name, "statement": chosen.statement, "why": chosen.why, **sizes, "result": result(rows)}
