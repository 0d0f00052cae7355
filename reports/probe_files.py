"""The files that runs of probes leave in a folder of results, from which the report is made."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.provenance import versions
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.probes.report import ProbeReport
from fishergauge.suites.records_file import write_records

FOLDER = "probes"
SUMMARY = "probes.json"
RECORDS = "records.jsonl"
SCHEMA = 1


def records_of(reports: Iterable[ProbeReport]) -> list[ProbeRecord]:
    """The records of all reports.

    Args:
        reports: one a subject.
    """
    return [record for report in reports for record in report.records]


def write_probes(reports: Sequence[ProbeReport], command: str, plan: Mapping[str, Any], out: Path) -> list[Path]:
    """Write ``probes/probes.json`` and ``probes/records.jsonl``, in the place of those of an earlier run.

    Args:
        reports: one a subject.
        command: the command line.
        plan: what was asked for: ``seed``, ``dtype``, ``device``, ``quick`` and the like.
        out: an existing folder.

    Returns:
        The paths that were written; without a record there is no file of records.

    Raises:
        RecordsError: the records cannot be written.
    """
    folder = out / FOLDER
    folder.mkdir(exist_ok=True)
    records = records_of(reports)
    paths = [folder / RECORDS, folder / SUMMARY]
    paths[0].unlink(missing_ok=True)
    if records:
        write_records(records, paths[0])
    content = {
        "schema": SCHEMA,
        "provenance": {"command": command, "seed": plan["seed"], "device": plan["device"], "versions": versions()},
        "plan": dict(plan),
        "subjects": [_about(report) for report in reports],
    }
    write_atomically(paths[1], json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n")  # the last, as it is looked for
    return [path for path in paths if path.exists()]


def _about(report: ProbeReport) -> dict[str, Any]:
    """What a subject declares, and what the records do not say of it."""
    subject = report.subject
    return {
        "name": subject.name,
        "target": subject.target,
        "structure": subject.structure,
        "vacuous": dict(report.vacuous),
        "left_out": dict(report.left_out),
        "timed_seconds": report.seconds,
    }
