"""What changed in the invariance spectrum: what was found of each approximation and family, and how far it holds."""

import math
from collections.abc import Mapping

from fishergauge.reports.page.difference_change import Change, Circumstances, Found, Kind
from fishergauge.reports.page.difference_data import mappings, text, texts
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import slug
from fishergauge.suites.wording import some

PART = "spectrum"
SEVERITY = {"=": 0, "~": 1, "/": 2, "x": 3, "*": 4, "?": 4, "-": 4, "!": 5}
"""How bad a mark of the matrix is; the best is invariance as predicted, the worst a contradiction to theory."""
BREAKS, REACH = "The condition number at which it breaks", "holds to"
CONTRADICTED = "!"
_Pair = tuple[str, str]


def spectrum(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare two spectra.

    Red are, for a pair of an approximation and a family: a mark that got worse (in the order invariant; to first order; for
    some models; not invariant, all as predicted; not decided, not promised or not supported; contradicted), a pair that
    vanished, and a smaller condition number up to which invariance holds. With another torch, which rounds otherwise, only
    contradictions are red. An approximation or a family that is gone as a whole has vanished if both reports were asked for the
    same; otherwise it is a note.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    for name in ("models", "data", "precisions"):
        a, b = (texts(part.data.get("range"), name) for part in (old, new))
        if sorted(a) != sorted(b):
            said = f"not compared: measured on other {name}: {some(a, 4)} before, {some(b, 4)} now"
            return Found((Change(PART, "note", "", said),), 0, "pair")
    words = {text(row, "mark"): text(row, "meaning") for part in (old, new) for row in mappings(part.data, "marks")}
    before, after = _marks(old), _marks(new)
    changes = _gone(before, after, about)
    for pair, mark in after.items():
        if pair not in before:
            red = mark == CONTRADICTED
            changes.append(_change("new", pair, words.get(mark, mark), red, counted=red))
        elif (earlier := before[pair]) != mark:
            worse = SEVERITY.get(mark, 4) - SEVERITY.get(earlier, 4)
            kind: Kind = "regression" if worse > 0 else "improvement" if worse < 0 else "changed"
            said = f"{words.get(earlier, earlier)} -> {words.get(mark, mark)}"
            contradicted = mark == CONTRADICTED
            changes.append(_change(kind, pair, said, worse > 0 and (about.same_torch or contradicted), counted=contradicted))
    changes += _reaches(old, new, about)
    return Found(tuple(changes), len(before.keys() & after.keys()), "pair")


def _marks(part: Part) -> dict[_Pair, str]:
    """The marks of the matrix by approximation and family."""
    families = texts(part.data, "families")
    return {
        (text(row, "name"), family): text(cell, "mark")
        for row in mappings(part.data, "matrix")
        if isinstance(cells := row.get("cells"), list)
        for family, cell in zip(families, cells, strict=False)
        if text(cell, "mark")
    }


def _gone(before: Mapping[_Pair, str], after: Mapping[_Pair, str], about: Circumstances) -> list[Change]:
    """Pairs that are not there any more; those of what is gone as a whole may have been left out."""
    here = [{pair[place] for pair in after} for place in (0, 1)]
    changes, left_out = [], []
    for pair in before:
        if pair in after:
            continue
        whole = [name for name, names in zip(pair, here, strict=True) if name not in names]
        if whole and not about.same:
            left_out += whole
        else:
            changes.append(_change("vanished", pair, "was measured, is gone", red=True))
    if left_out:
        said = f"{some(left_out, 5)}: not in this report, which was not asked for the same"
        changes.append(Change(PART, "note", "", said))
    return changes


def _reaches(old: Part, new: Part, about: Circumstances) -> list[Change]:
    """Condition numbers up to which invariance holds."""
    before, after = _reach(old), _reach(new)
    changes = []
    for key, now in after.items():
        earlier = before.get(key, now)
        a, b = _number(earlier), _number(now)
        if a != b:
            said = f"{key[2]} condition number {earlier} -> {now}"
            kind: Kind = "regression" if b < a else "improvement"
            changes.append(_change(kind, (key[0], key[1]), said, red=b < a and about.same_torch))
    return changes


def _reach(part: Part) -> dict[tuple[str, str, str], str]:
    """What the table of breaks says, by approximation, family and column."""
    found = {}
    for section in mappings(part.data, "sections"):
        rows, head = section.get("rows"), texts(section, "head")
        if text(section, "title") != BREAKS or head[:2] != ["approximation", "family"] or not isinstance(rows, list):
            continue
        for row in rows:
            if isinstance(row, list):
                cells = dict(zip(head, map(str, row), strict=False))
                for name in head:
                    if name.startswith(REACH) and name in cells:
                        found[cells["approximation"], cells["family"], name] = cells[name]
    return found


def _number(shown: str) -> float:
    """A number of the table; nothing holds at all where there is none."""
    try:
        return float(shown)
    except ValueError:
        return -math.inf


def _change(kind: Kind, pair: _Pair, said: str, red: bool = False, counted: bool = False) -> Change:
    anchor = "" if kind == "vanished" else f"{PART}-{slug(pair[0])}"
    return Change(PART, kind, f"{pair[0]} under {pair[1]}", said, red, anchor, counted, pair[0])
