"""The files of ``fishergauge peers``: cells, matrix, findings and figure."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.extras import MissingExtraError
from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.peers_figure import draw_peers
from fishergauge.reports.peers_summary_figure import draw_summary
from fishergauge.reports.peers_tables import cells_csv, entries, markdown
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.peers.judgement import Cell, counts
from fishergauge.suites.peers.ledger import LedgerFinding
from fishergauge.suites.peers.registry import version_of
from fishergauge.suites.versions import versions

if TYPE_CHECKING:
    from fishergauge.suites.peers.peer import Peer

SCHEMA = 1


def write_files(
    cells: Sequence[Cell],
    ledger: Sequence[LedgerFinding],
    chosen: "Sequence[Peer]",
    missing: Mapping[str, str],
    command: str,
    out: Path,
) -> list[Path]:
    """Write ``peers.csv`` (cells), ``peers.json`` (quantities, findings, versions), ``peers.md`` and the figures.

    Args:
        cells: of the run.
        ledger: the findings.
        chosen: the quantities that were asked for.
        missing: libraries that are not installed, and what to do.
        command: that was given.
        out: the folder.

    Returns:
        The paths; without matplotlib there are no figures, which is said.
    """
    texts = {
        out / "peers.csv": cells_csv(cells),
        out / "peers.json": json.dumps(jsonable(content(cells, ledger, chosen, missing, command)), indent=1, allow_nan=False)
        + "\n",
        out / "peers.md": markdown(cells, ledger, [f"$ {command}"], missing),
    }
    for path, text in texts.items():
        write_atomically(path, text)
    try:
        drawn = draw_peers(cells, figure_paths(out / "peers", ("png", "pdf")))
        drawn += draw_summary(cells, figure_paths(out / "peers_summary", ("png", "svg")))
    except MissingExtraError as error:
        print(f"no figures: {error}")
        drawn = []
    return [*texts, *drawn]


def content(
    cells: Sequence[Cell], ledger: Sequence[LedgerFinding], chosen: "Sequence[Peer]", missing: Mapping[str, str], command: str
) -> dict[str, Any]:
    """What ``peers.json`` holds, but for the cells, which are rows of ``peers.csv``."""
    rows = entries(cells)
    libraries = dict.fromkeys(peer.library for peer in chosen)
    return {
        "schema": SCHEMA,
        "command": command,
        "versions": {**versions(), **{library: version_of(library) or None for library in libraries}},
        "missing": dict(missing),
        "counts": counts(cells),
        "quantities": [
            {
                "name": peer.subject.name,
                "library": peer.library,
                "target": peer.subject.target,
                "structure": peer.subject.structure,
                "samples": peer.subject.samples,
                "promise": peer.promise,
                "conversion": peer.conversion,
                "claims": {claim: dict(entry) for claim, entry in rows.get(peer.subject.name, {}).items()},
            }
            for peer in chosen
            if peer.library not in missing
        ],
        "findings": [_finding(finding, cells) for finding in ledger if finding.library in libraries],
    }


def _finding(finding: LedgerFinding, cells: Sequence[Cell]) -> dict[str, Any]:
    names = ("id", "library", "version", "title", "kind", "where", "evidence", "expected", "found", "upstream")
    explained = [cell for cell in cells if cell.finding == finding.id and cell.status == "expected"]
    known = {name: getattr(finding, name) for name in names} | {"script": finding.script.name}
    return known | {"cells": len(explained), "subjects": sorted({cell.record.subject for cell in explained})}
