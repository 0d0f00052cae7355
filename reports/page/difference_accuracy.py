"""What changed in accuracy and cost: distances that grew beyond rounding, and counted cost that rose."""

from collections.abc import Mapping
from typing import Any

from fishergauge.reports.page.difference_change import Change, Circumstances, Found
from fishergauge.reports.page.difference_data import keyed, mappings, real, text
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import slug
from fishergauge.suites.wording import number, some

PART = "accuracy"
ROUNDING = 1e-12
SMALL = 1e-8
"""Below this a distance may be rounding that a condition number has amplified."""
MORE, FAR_MORE = 1.05, 10.0
NEARNESS = {
    "distance": "distance from the Fisher",
    "own_distance": "distance from its own target",
    "step_error": "error of the step",
}
COUNTED = {
    "flops": "FLOPs",
    "step_flops": "FLOPs up to the step",
    "forward_passes": "forward passes",
    "backward_passes": "backward passes",
    "stored": "stored numbers",
}
_Row = Mapping[str, Any]
_Key = tuple[str, ...]


def accuracy(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare measurements of approximations on problems.

    Red are: a row that vanished, or that was measured and is not any more; a distance or an error of the step that grew by more
    than 5 %, or tenfold where it may have been rounding (below 1e-8; 1e-12 counts as the least); counts that rose, by however
    little. With other seeds distances, and with another torch counts, are told and not red. An approximation or a problem that
    is gone as a whole has vanished if both reports were asked for the same; otherwise it is a note.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    if old.data.get("quick") != new.data.get("quick"):
        return Found((Change(PART, "note", "", "not compared: one run is quick and the other full"),))
    before, after = _rows(old), _rows(new)
    changes = _gone(before, after, about)
    for key, row in after.items():
        if key in before:
            changes += _changes(key, before[key], row, about)
        else:
            red = text(row, "outcome") == "error"
            changes.append(_change("new", key, _outcome(row), red, counted=red))
    return Found(tuple(changes), len(before.keys() & after.keys()), "measurement")


def _rows(part: Part) -> dict[_Key, _Row]:
    rows = [
        {"problem": text(problem, "name"), **row}
        for problem in mappings(part.data, "problems")
        for name in ("rows", "not_measured")
        for row in mappings(problem, name)
    ]
    return keyed(rows, "approximation", "problem")


def _gone(before: Mapping[_Key, _Row], after: Mapping[_Key, _Row], about: Circumstances) -> list[Change]:
    """Rows that are not there any more; those of what is gone as a whole may have been left out."""
    here = [{key[place] for key in after} for place in (0, 1)]
    changes, left_out = [], []
    for key, row in before.items():
        if key in after:
            continue
        whole = [name for name, names in zip(key, here, strict=True) if name not in names]
        if whole and not about.same:
            left_out += whole
        else:
            changes.append(_change("vanished", key, f"was {text(row, 'outcome') or 'there'}", red=True))
    if left_out:
        said = f"{some(left_out, 5)}: not measured in this report, which was not asked for the same"
        changes.append(Change(PART, "note", "", said))
    return changes


def _changes(key: _Key, old: _Row, new: _Row, about: Circumstances) -> list[Change]:
    """What differs in a row."""
    before, after = text(old, "outcome"), text(new, "outcome")
    if before != after:
        worse = before == "measured" or after == "error"
        said = f"{before} -> {_outcome(new)}"
        return [_change("regression" if worse else "improvement", key, said, worse, counted=after == "error")]
    changes = []
    for name, title in NEARNESS.items():
        a, b = real(old, name), real(new, name)
        if a is None or b is None:
            if a is not None:
                changes.append(_change("vanished", key, f"{title} was {number(a)}, is not measured any more", red=True))
            continue
        said = f"{title} {number(a)} -> {number(b)}"
        if _farther(a, b) or _farther(b, a):
            kind = "note" if not about.same_seed else "regression" if b > a else "improvement"
            changes.append(_change(kind, key, said, red=kind == "regression"))
    for name, title in COUNTED.items():
        a, b = real(old, name), real(new, name)
        if a is None or b is None:
            if a is not None:
                changes.append(_change("vanished", key, f"{title} are not counted any more", red=True))
        elif a != b:
            kind = "note" if not about.same_torch else "cost" if b > a else "improvement"
            changes.append(_change(kind, key, f"{title} {a:,.0f} -> {b:,.0f}", red=kind == "cost"))
    return changes


def _farther(a: float, b: float) -> bool:
    """Whether b is farther than a, beyond rounding."""
    return b > FAR_MORE * max(a, ROUNDING) if a < SMALL else b > MORE * a


def _outcome(row: _Row) -> str:
    reason = text(row, "reason")
    return f"{text(row, 'outcome')}: {reason}" if reason else text(row, "outcome")


def _change(kind: Any, key: _Key, said: str, red: bool = False, counted: bool = False) -> Change:
    anchor = "" if kind == "vanished" else f"{PART}-{slug(key[1])}"
    return Change(PART, kind, f"{key[0]} on {key[1]}", said, red, anchor, counted, key[0])
