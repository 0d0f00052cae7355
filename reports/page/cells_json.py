"""The details of all cells, packed for the page: short rows, every text once."""

import json
from collections.abc import Hashable, Mapping
from typing import Any

from fishergauge.reports.page.matrix import OWN, VERDICTS

ROOM = 160_000
"""Characters that the packed cells may take; beyond, the least interesting details of libraries are left out."""
_LEFT_OUT = ((), ("others",), ("others", "not-claimed", "unsupported"), ("others", "not-claimed", "unsupported", "holds"))
_KIND = ("dtype", "verdict", "formula", "reason", "witness", "nearest", "again", "finding", "measured_reason")
_SUBJECT, _CLAIM, _PROBLEM = "\x01", "\x02", "\x03"


def packed_cells(shown: Mapping[str, Any], room: int = ROOM) -> dict[str, Any]:
    """Pack what :func:`~fishergauge.reports.page.matrix.matrix` returns for the page's script.

    Args:
        shown: claims and groups of rows.
        room: characters that the JSON may take.

    Returns:
        ``verdicts``: in their order. ``claims`` and ``subjects``: in the order of the table. ``texts``, ``kinds``, ``counts``:
        what is named by its place in them, each once. ``cells``: for each subject those of its claims that were examined. A
        cell is (place of) its counts in the order of ``verdicts``, its worst check and others, and how many more there are. A
        check is (place of) its kind, (place of) its problem, measured, bound, and slack where it is not the quotient of the
        two as shown. A kind holds dtype, verdict, formula, reason, witness, nearest, command, finding, why nothing finite was
        measured, and notes. In commands the names of subject, claim and problem are holes.
    """
    for left_out in _LEFT_OUT:
        packed = _Packing(left_out).packed(shown)
        if len(json.dumps(packed, ensure_ascii=False, separators=(",", ":"))) <= room:
            break
    return packed


class _Packing:
    """One attempt, with its tables."""

    def __init__(self, left_out: tuple[str, ...]) -> None:
        self.left_out = left_out
        self.tables: dict[str, dict[Hashable, int]] = {"texts": {}, "kinds": {}, "counts": {}}

    def packed(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Everything; the tables are filled on the way."""
        rows = [subject for group in shown["groups"] for subject in group["subjects"]]
        subjects = [self.subject(subject) for subject in rows]
        cells = [[self.cell(cell, row["origin"] in OWN) for cell in row["cells"] if cell is not None] for row in rows]
        claims = [[claim[key] for key in ("id", "name", "statement", "source")] for claim in shown["claims"]]
        tables = {name: list(table) for name, table in self.tables.items()}
        return {"verdicts": list(VERDICTS), "claims": claims, "subjects": subjects, "cells": cells, **tables}

    def place(self, table: str, value: Hashable) -> int:
        """The place of a value in a table."""
        return self.tables[table].setdefault(value, len(self.tables[table]))

    def subject(self, subject: Mapping[str, Any]) -> list[Any]:
        """Its name and library, and the places of its declaration and command."""
        again = _holed(subject["again"], {subject["name"]: _SUBJECT})
        texts = [self.place("texts", text) for text in (subject["declared"], again)]
        return [subject["name"], subject["library"], *texts]

    def cell(self, cell: Mapping[str, Any], own: bool) -> list[Any]:
        """Its counts, and its checks unless they are left out, which those of own subjects never are."""
        counts = self.place("counts", tuple(_short([cell["counts"].get(verdict, 0) for verdict in VERDICTS])))
        left_out = () if own else self.left_out
        if cell["verdict"] in left_out or cell["worst"] is None:
            return [counts]
        others = [] if "others" in left_out else cell["others"]
        checks = [self.check(check, cell) for check in (cell["worst"], *others)]
        more = cell["more"] + len(cell["others"]) - len(others)
        return [counts, checks, more] if more else [counts, checks]

    def check(self, check: Mapping[str, Any], cell: Mapping[str, Any]) -> list[Any]:
        """Its kind, problem and numbers."""
        holes = {cell["subject"]: _SUBJECT, cell["claim"]: _CLAIM, check["problem"]: _PROBLEM}
        texts = [_holed(check[key], holes) if key == "again" else str(check[key] or "") for key in _KIND]
        kind = tuple(_short([*texts, *map(str, check["notes"])]))
        measured, bound, slack = (_three_digits(check[key]) for key in ("measured", "bound", "slack"))
        numbers = [measured, bound, None if _is_quotient(slack, measured, bound) else slack]
        while numbers and numbers[-1] is None:
            numbers.pop()
        return [self.place("kinds", kind), self.place("texts", str(check["problem"])), *numbers]


def _holed(command: Any, holes: Mapping[str, str]) -> str:
    """A command in which the names are left open, so that one text serves many checks."""
    return " ".join(holes.get(word, word) for word in str(command or "").split(" "))


def _three_digits(value: float | None) -> float | int | None:
    if value is None or isinstance(value, int):
        return value
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded


def _is_quotient(slack: float | None, measured: float | None, bound: float | None) -> bool:
    """Whether the slack can be found again from the two numbers, up to their rounding."""
    if slack is None or measured is None or not bound:
        return False
    return abs(measured / bound - slack) <= 0.011 * abs(slack)


def _short(values: list[Any]) -> list[Any]:
    """A list without its last zeros and empty texts."""
    while values and not values[-1]:
        values.pop()
    return values
