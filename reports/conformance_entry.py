"""What ``subjects.json`` says of a subject, whether it was checked or not."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fishergauge.reports.conformance_lookup import Known
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import is_reference
from fishergauge.suites.report import Report
from fishergauge.suites.versions import versions
from fishergauge.suites.wording import plural


def failed(spec: str, options: ConformanceOptions, error: str, known: Known | None = None) -> dict[str, Any]:
    """The entry of a subject that was not checked to its end.

    Args:
        spec: as typed.
        options: of the run.
        error: why, for people.
        known: what it declares, where it could be imported.
    """
    here = str(Path.cwd())
    return {
        **_head(spec, options),
        **(_declared(known) if known is not None else {}),
        "checks": 0,
        "counts": {},
        "exit_code": 1,
        "error": error.replace(f"{here}/", "").replace(here, "."),
    }


def finished(known: Known, options: ConformanceOptions, report: Report, digest: str, kept: bool) -> dict[str, Any]:
    """The entry of a subject that was checked.

    Args:
        known: the subject.
        options: of the run.
        report: of its checks.
        digest: of all that the result depends on.
        kept: whether an earlier run had made all checks.
    """
    names = ("claim", "problem", "reason", "issue", "expires", "origin")
    texts = [{name: getattr(entry, name) for name in names} for entry in known.expectations.entries]
    return {
        **_head(known.spec, options),
        **_declared(known),
        "counts": report.counts,
        "exit_code": report.exit_code,
        "vacuous": dict(report.vacuous),
        "complaints": list(report.complaints),
        "expected": [{name: str(value) for name, value in text.items() if value} for text in texts],
        "versions": versions(),
        "timed_seconds": round(report.seconds, 2),
        "checks": len(report.records),
        "digest": digest,
        **({"kept": True} if kept else {}),
    }


def said(entry: Mapping[str, Any]) -> str:
    """One line about a subject that is finished."""
    if entry.get("error"):
        return f"{entry['name']}: not checked: {str(entry['error']).splitlines()[0]}"
    counts = ", ".join(f"{number} {verdict}" for verdict, number in entry["counts"].items()) or "nothing examined"
    kept = " (kept from an earlier run)" if entry.get("kept") else f"; {entry['timed_seconds']:.1f} s"
    return f"{entry['name']}: {plural(entry['checks'], 'check')}: {counts}{kept}"


def _head(spec: str, options: ConformanceOptions) -> dict[str, Any]:
    """What is known of a subject before it is loaded."""
    ours = is_reference(spec)
    return {
        "name": spec,
        "library": "fishergauge" if ours else "yours",
        "origin": "reference" if ours else "yours",
        "command": shlex.join(["fishergauge", "check", spec, *options.problem_options]),
    }


def _declared(known: Known) -> dict[str, Any]:
    """What a subject says about itself."""
    return {"name": known.name, "target": known.target, "structure": known.structure, "declared": known.declared}
