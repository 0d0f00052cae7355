"""Known failures of libraries, by the finding that explains them, from the run of the libraries."""

from collections.abc import Mapping
from typing import Any

from fishergauge.reports.page.json_artefact import listed, mapping
from fishergauge.reports.page.peers_findings import link_of


def findings_of(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings that explain red cells of a run, by library, those of most cells first.

    Args:
        run: what ``peers.json`` holds.

    Returns:
        A row for each.

    Example:
        >>> findings_of({"findings": [{"id": "a_scale", "library": "a", "cells": 3, "subjects": ["a/x"]}]})[0]["checks"]
        3
    """
    rows = []
    for one in map(mapping, listed(run.get("findings"))):
        cells = one.get("cells")
        if isinstance(cells, int) and cells > 0 and one.get("id"):
            texts = {
                name: " ".join(str(one.get(name) or "").split()) for name in ("id", "library", "title", "kind", "upstream")
            }
            rows.append(
                {**texts, "link": link_of(texts["upstream"]), "checks": cells, "subjects": len(listed(one.get("subjects")))}
            )
    return sorted(rows, key=lambda row: (row["library"].lower(), -row["checks"], row["id"]))
