"""The files of a spectrum: all rows as CSV and JSON, the tables as Markdown, the figure."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd

from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.provenance import versions, write_provenance
from fishergauge.reports.row_json import rows_json
from fishergauge.reports.spectrum_figure import draw_spectrum
from fishergauge.reports.spectrum_tables import sections, summary_line
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.spectrum.approximations import approximations
from fishergauge.suites.spectrum.execution import Plan
from fishergauge.suites.spectrum.row import Row

SCHEMA = 1


def write_artefacts(rows: Sequence[Row], plan: Plan, command: str, out: Path) -> list[Path]:
    """Write ``spectrum`` as CSV, JSON, Markdown, PNG, PDF and SVG, and what they come from in ``provenance.json``.

    The first six depend on rows, plan, command and versions only: the same run gives the same bytes.

    Args:
        rows: of a spectrum.
        plan: that they were measured for.
        command: the command line.
        out: an existing folder.

    Returns:
        The paths of the six files.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = [subject.name for subject in plan.subjects]
    paths = [out / f"spectrum.{kind}" for kind in ("csv", "json", "md")]
    columns = [field.name for field in fields(Row)]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns)
    table = table.astype({"rank": "Int64"})
    write_atomically(paths[0], table.to_csv(index=False, lineterminator="\n"))
    write_atomically(paths[1], _json(rows, plan, command))
    document = ["# The invariance spectrum", summary_line(rows), "![approximations times families](spectrum.png)"]
    document += [section.markdown() for section in sections(rows, plan.families, names, full=True)]
    write_atomically(paths[2], "\n\n".join(document) + "\n")
    labels = {name: one.label for name, one in approximations().items()}
    paths += draw_spectrum(rows, plan.families, labels, figure_paths(out / "spectrum"))
    write_provenance(paths, [], "cpu", command, out)
    return paths


def _json(rows: Sequence[Row], plan: Plan, command: str) -> str:
    """Schema, provenance and plan, and a line for each row."""
    head = {
        "schema": SCHEMA,
        "provenance": {"command": command, "seed": plan.seed, "versions": versions()},
        "plan": {
            "models": plan.models,
            "data": plan.data,
            "dtypes": plan.dtypes,
            "families": plan.families,
            "kappas": plan.kappas,
            "approximations": plan.approximations,
            "subjects": [subject.name for subject in plan.subjects],
        },
    }
    return rows_json(head, rows)
