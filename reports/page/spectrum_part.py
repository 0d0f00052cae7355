"""The invariance spectrum: approximations under families of reparametrisations, predicted and measured."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.page.inline_svg import FigureError, inline_svg
from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Figure, Gap, Part, missing
from fishergauge.reports.page.spectrum_rows import read_rows
from fishergauge.suites.wording import number, plural, some

if TYPE_CHECKING:
    from fishergauge.reports.spectrum_section import Section
    from fishergauge.reports.spectrum_summary import Entry
    from fishergauge.suites.spectrum.row import Row

NAME, TITLE, COMMAND = "spectrum.json", "Invariance spectrum", "fishergauge spectrum"
FILES = (NAME, "spectrum.csv", "spectrum.md", "spectrum.pdf", "spectrum.png")
FIGURE = "spectrum.svg"
CAPTION = (
    "(a) A perceptron: approximations in rows, families of maps in columns. The colour is the deviation of the effect "
    "on the outputs, from rounding (dark) to complete (light); a filled dot marks where theory predicts invariance, a ring "
    "where it does so to first order, and both should be dark. (b, c) Deviation against the condition number of the map, "
    "with the bound of rounding (dashed): dotted is what the paper's cut-off of 1e-8 makes of the exact Fisher."
)
MOST = 20


def collect(out: Path) -> Part:
    """Collect what ``fishergauge spectrum`` has measured.

    Args:
        out: folder of the results.

    Returns:
        The part; red is what the command calls red, where measurement contradicts theory.
    """
    from fishergauge.reports.spectrum_tables import red_section, sections

    content, gap = read_json(out, NAME, "the spectrum", COMMAND)
    if gap:
        return missing("spectrum", TITLE, gap.what, gap.why, gap.command)
    rows, unread = read_rows(content)
    if not rows:
        return missing("spectrum", TITLE, "the spectrum", f"{NAME} holds no row that this version can read.", COMMAND)
    plan, given = mapping(content.get("plan")), mapping(content.get("provenance"))
    subjects = [name for name in map(str, listed(plan.get("subjects"))) if any(row.approximation == name for row in rows)]
    rows.sort(key=lambda row: row.approximation not in subjects)  # what is yours comes first
    families = list(dict.fromkeys(map(str, listed(plan.get("families"))))) or [row.family for row in rows]
    families = [name for name in dict.fromkeys([*families, *(row.family for row in rows)]) if _known(name)]
    data = {
        "subjects": subjects,
        **_matrix(rows, families, subjects),
        "sections": [_section(one) for one in sorted(sections(rows, families, subjects, full=True)[1:], key=_place)],
        "range": {
            "models": list(dict.fromkeys(row.model for row in rows)),
            "data": list(dict.fromkeys(row.data for row in rows)),
            "precisions": list(dict.fromkeys(row.dtype for row in rows)),
        },
    }
    if given.get("command"):
        data["command"] = neutral_command(str(given["command"]))
    figure, broken = _figure(out)
    gaps = [*_unread(unread), *_vacuous(rows, subjects), *([broken] if broken else [])]
    return Part(
        "spectrum",
        TITLE,
        _summary(data, rows),
        data,
        figures=(figure,) if figure else (),
        gaps=tuple(gaps),
        files=tuple(name for name in FILES if (out / name).is_file()),
        red=sum(row.red for row in rows),
        reds=tuple(red_section(rows, full=False, subjects=subjects, most=MOST).below[:MOST])
        if any(r.red for r in rows)
        else (),
    )


def _matrix(rows: "Sequence[Row]", families: Sequence[str], subjects: Sequence[str]) -> dict[str, Any]:
    """The worst deviation of each approximation under each family, what was predicted, and the words for it."""
    from fishergauge.reports.spectrum_summary import MARKS, matrix, table_dtype
    from fishergauge.suites.spectrum.approximations import approximations
    from fishergauge.suites.spectrum.execution import TABLE

    entries = matrix(rows)
    columns = [family for family in families if any(family == other for _, other in entries)]
    labels = {name: one.label for name, one in approximations().items()}
    names = list(dict.fromkeys(row.approximation for row in rows))
    counts = Counter(entry.mark for entry in entries.values())
    words = {**MARKS, "-": "unsupported", "!": "contradicted"}
    return {
        "kappa": number(TABLE),
        "precision": table_dtype(rows),
        "families": columns,
        "marks": [{"mark": mark, "meaning": words[mark], "count": counts[mark]} for mark in words if counts[mark]],
        "matrix": [
            {
                "name": name,
                "label": labels.get(name, ""),
                "yours": name in subjects,
                "cells": [_cell(entries.get((name, family))) for family in columns],
            }
            for name in names
        ],
    }


def _cell(entry: "Entry | None") -> dict[str, Any]:
    """A cell; empty where there is no map of the family, or nothing was asked for."""
    if entry is None:
        return {}
    if entry.deviation is None:
        return {"mark": entry.mark}
    shown = f"{round(entry.exponent, 1) + 0.0:.1f}" if entry.deviation > 0 else "-∞"
    return {"mark": entry.mark, "deviation": entry.deviation, "exponent": shown}


def _section(section: "Section") -> dict[str, Any]:
    return {
        "title": section.title,
        "above": list(section.above),
        "head": list(section.head),
        "rows": [list(row) for row in section.rows],
        "below": list(section.below),
    }


def _place(section: "Section") -> int:
    """What is yours comes first, then what is red."""
    return 0 if section.title.startswith("Subject ") else 1 if section.title.startswith("Red") else 2


def _known(family: str) -> bool:
    from fishergauge.reference import FAMILIES

    return family in FAMILIES


def _figure(out: Path) -> tuple[Figure | None, Gap | None]:
    try:
        inline_svg((out / FIGURE).read_text(encoding="utf-8"), "spectrum")
    except OSError:
        return None, Gap("the figure", f"{FIGURE} is not there; earlier versions drew it as PNG and PDF alone.", COMMAND)
    except (FigureError, UnicodeError) as error:
        return None, Gap("the figure", f"{FIGURE} cannot be shown: {error}.", COMMAND)
    return Figure("spectrum", "Invariance of approximations", CAPTION, FIGURE), None


def _unread(unread: int) -> list[Gap]:
    if not unread:
        return []
    why = f"{NAME} holds {plural(unread, 'row')} that this version cannot read; they are left out of all that follows."
    return [Gap("some rows", why, COMMAND)]


def _vacuous(rows: "Sequence[Row]", subjects: Sequence[str]) -> list[Gap]:
    """Subjects of which something is promised, and nothing of it could be decided."""
    from fishergauge.reports.spectrum_summary import KEPT, examined

    gaps = []
    for name in subjects:
        promises = any(row.approximation == name and row.promised and row.predicted in KEPT for row in rows)
        if promises and not examined(rows, name):
            why = "Nothing of it could be measured and decided here; measure more models, families and precisions."
            gaps.append(Gap(f"what {name} promises", why, COMMAND))
    return gaps


def _summary(data: Mapping[str, Any], rows: "Sequence[Row]") -> str:
    counts = {one["mark"]: one["count"] for one in data["marks"]}
    red = Counter(row.verdict for row in rows if row.red)
    pairs = sum(counts.values())
    kept, lost = counts.get("=", 0) + counts.get("~", 0), counts.get("x", 0)
    said = ", ".join(f"{count} {verdict}" for verdict, count in red.items())
    contradicted = f"{plural(red.total(), 'measurement')} red: {said}" if red else "nothing contradicts theory"
    yours = f" (yours: {some(data['subjects'], 4)})" if data["subjects"] else ""
    size = f"{len(data['matrix'])} approximations{yours} under {len(data['families'])} families of reparametrisations"
    return f"{size}. Of {pairs} pairs {kept} are invariant as predicted and {lost} are not, as predicted; {contradicted}."
