"""The table of subjects by claims, as its template shows it: rows in groups, columns, and the cells that need words."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

VERDICTS = ("error", "violated", "unexpected", "vacuous", "expected", "holds", "unsupported", "not-claimed")
"""The verdicts of cells, the worst first: those of checks, and that no problem examined the claim."""
RED = ("error", "violated", "unexpected")
OWN = ("reference", "yours")
"""Origins of subjects whose failures fail the report; those of libraries are findings."""
MOST_TABLES = 2500
MOST_TOLD = 120
_CLAIM = {"name": "", "statement": "", "source": ""}
_SUBJECT = {"origin": "library", "target": "", "structure": "", "declared": "", "counts": {}, "vacuous": {}, "again": ""}
TEXTS = ("problem", "dtype", "verdict", "formula", "reason", "witness", "nearest", "again", "finding", "measured_reason")
_CHECK = {**dict.fromkeys(TEXTS, ""), "measured": None, "bound": None, "slack": None, "notes": ()}


def cell_anchor(subject: str, claim: str) -> str:
    """The anchor of a cell, without the number sign: for ``id`` and, behind ``#``, for links.

    Args:
        subject: its name.
        claim: its id.

    Example:
        >>> cell_anchor("backpack/kflr", "T4"), cell_anchor("a b", "T4")
        ('cell/backpack/kflr/T4', 'cell/a%20b/T4')
    """
    return f"cell/{quote(subject, safe='/')}/{quote(claim, safe='')}"


def matrix(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of the part shows.

    Args:
        data: of the part: subjects, claims, cells.

    Returns:
        ``claims``: the columns. ``groups``: of rows, one a library, your subjects and the reference first; each with
        ``subjects`` (with a cell or None for each claim) and ``summary`` (for each claim the worst verdict and the number
        of subjects that have it). ``verdicts``: those of checks that occur, ``signs``: those of cells too. ``told``: cells of
        own subjects that do not simply hold, the worst first, with ``untold``, how many are left out. ``tables``: whether the
        holding cells may be listed as well.
    """
    claims = [{**_CLAIM, **claim, "title": _title(claim)} for claim in data.get("claims", ())]
    names = {claim["id"]: claim for claim in claims}
    cells = {(cell["subject"], cell["claim"]): _filled(cell) for cell in data.get("cells", ())}
    groups: dict[str, list[dict[str, Any]]] = {}
    for subject in data.get("subjects", ()):
        row = [cells.get((subject["name"], id)) for id in names]
        groups.setdefault(subject["library"], []).append({**_SUBJECT, **subject, "cells": row, "red": _red(row)})
    ordered = [_group(library, groups[library]) for library in sorted(groups, key=_place)]
    own = [subject for group in ordered for subject in group["subjects"] if subject["origin"] in OWN]
    told = _told(own, names)
    found = {verdict for cell in cells.values() for verdict in cell["counts"]}
    signs = {cell["verdict"] for cell in cells.values()}
    return {
        "claims": claims,
        "groups": ordered,
        "verdicts": [verdict for verdict in VERDICTS if verdict in found],
        "signs": [verdict for verdict in VERDICTS if verdict in found or verdict in signs],
        "told": told[:MOST_TOLD],
        "untold": max(0, len(told) - MOST_TOLD),
        "own": own,
        "tables": sum(cell is not None for subject in own for cell in subject["cells"]) <= MOST_TABLES,
    }


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts; those that are not known here come last.

    Args:
        verdicts: at least one.

    Example:
        >>> worst(["holds", "expected"])
        'expected'
    """
    return min(verdicts, key=lambda verdict: VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS))


def _title(claim: Mapping[str, Any]) -> str:
    """Id and name, or the id alone where it ends with the name."""
    id, name = claim["id"], claim.get("name", "")
    return id if id.endswith(name) else f"{id} {name}"


def _filled(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell with all its keys: what is empty may be left out in the report."""
    others = [{**_CHECK, **check} for check in cell.get("others") or ()]
    worst = {**_CHECK, "verdict": cell["verdict"], **cell["worst"]} if cell.get("worst") else None
    return {"checks": sum(cell["counts"].values()), "more": 0, **cell, "others": others, "worst": worst}


def _place(library: str) -> tuple[bool, bool, str]:
    """Your own subjects first, then the reference, then libraries by name."""
    return library != "yours", library != "fishergauge", library.lower()


def _group(library: str, subjects: list[dict[str, Any]]) -> dict[str, Any]:
    columns = zip(*(subject["cells"] for subject in subjects), strict=True)
    summary = [_summary([cell["verdict"] for cell in column if cell]) for column in columns]
    counts: Counter[str] = Counter()
    for subject in subjects:
        counts.update(subject["counts"])
    first = subjects[0]["origin"]
    return {"library": library, "origin": first, "subjects": subjects, "summary": summary, "counts": counts}


def _summary(verdicts: Sequence[str]) -> tuple[str, int] | None:
    return (name := worst(verdicts), Counter(verdicts)[name]) if verdicts else None


def _red(row: Iterable[Mapping[str, Any] | None]) -> int:
    """How many checks of a subject are violated, unexpected or in error."""
    return sum(cell["counts"].get(verdict, 0) for cell in row if cell for verdict in RED)


def _told(subjects: Iterable[Mapping[str, Any]], names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cells that do not simply hold, and that were claimed and supported, with their claim; the worst first."""
    shown = (*RED, "vacuous", "expected")
    cells = [cell for subject in subjects for cell in subject["cells"] if cell and cell["verdict"] in shown]
    cells.sort(key=lambda cell: shown.index(cell["verdict"]))
    return [{**cell, "stated": names[cell["claim"]]} for cell in cells]
