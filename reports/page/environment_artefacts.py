"""Artefacts held against their provenance: which are as they were written, which were changed, which are gone."""

from pathlib import Path
from typing import Any

from fishergauge.reports.page.json_artefact import mapping
from fishergauge.reports.page.part import Gap
from fishergauge.suites.wording import some

MOST_NAMED = 6


def artefact_gaps(out: Path, provenance: Any) -> list[Gap]:
    """Say which artefacts are not those that ``provenance.json`` tells of.

    Args:
        out: folder of the results.
        provenance: content of the file.

    Returns:
        No gap, one or two.
    """
    from fishergauge.reports.provenance import sha256

    changed, gone = [], []
    for name, entry in sorted(mapping(mapping(provenance).get("artefacts")).items()):
        file = out / name
        if not file.resolve().is_relative_to(out.resolve()) or not file.is_file():
            gone.append(name)
        elif sha256(file) != mapping(entry).get("sha256"):
            changed.append(name)
    gaps = []
    if changed:
        why = f"{some(changed, MOST_NAMED)}: changed since provenance.json was written; how they were made is not known."
        gaps.append(Gap(f"provenance of artefacts ({len(changed)})", why, "fishergauge reproduce all"))
    if gone:
        why = f"{some(gone, MOST_NAMED)}: written once, says provenance.json, and not there any more."
        gaps.append(Gap(f"artefacts ({len(gone)})", why, "fishergauge reproduce all"))
    return gaps
