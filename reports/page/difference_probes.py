"""What changed in the probes of large models: verdicts, slack, products and memory."""

from collections.abc import Mapping
from typing import Any

from fishergauge.reports.page.difference_change import Change, Circumstances, Found, Kind
from fishergauge.reports.page.difference_data import integer, mappings, real, text
from fishergauge.reports.page.difference_slack import drift_of
from fishergauge.reports.page.matrix import RED
from fishergauge.reports.page.part import Part
from fishergauge.suites.baseline import SEVERITY
from fishergauge.suites.wording import some

PART = "probes"
MORE = 1.05
"""Memory may differ by that much: other workspaces are other bytes."""
_Row = Mapping[str, Any]
_Key = tuple[str, ...]
_TABLE = ("subject", "problem", "dtype", "device")


def probes(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare probes of subjects on problems.

    Red are: a verdict that got worse (as in :data:`fishergauge.suites.baseline.SEVERITY`); a slack that grew by more than a
    factor of 10 above 1/64; a row that vanished; a new one that is red; more products than before, or more than 5 % more
    memory, where torch is the same. With other seeds a slack is not compared. A subject or a problem that is gone as a whole
    has vanished if both reports were asked for the same; otherwise it is a note.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    before, after = _tables(old), _tables(new)
    changes, left_out, compared = list[Change](), list[str](), 0
    for key, table in before.items():
        if key in after:
            found, shared = _rows(key, table, after[key], about)
            changes += [*found, *(_cost(key, table, after[key]) if about.same_torch else ())]
            compared += shared
        elif about.same:
            changes.append(_change("vanished", key, "", "is not probed any more", red=True))
        else:
            left_out.append(" on ".join(key[:2]))
    if left_out:
        said = f"{some(left_out, 5)}: not probed in this report, which was not asked for the same"
        changes.append(Change(PART, "note", "", said))
    for key, table in after.items():
        if key not in before:
            red = [row for row in mappings(table, "rows") if text(row, "verdict") in RED]
            changes += [_change("new", key, text(row, "probe"), _said(row), red=True, counted=True) for row in red]
            changes += [] if red else [_change("new", key, "", "the earlier report does not have it")]
    return Found(tuple(changes), compared, "probe")


def _tables(part: Part) -> dict[_Key, _Row]:
    tables = {tuple(text(table, name) for name in _TABLE): table for table in mappings(part.data, "tables")}
    return {key: table for key, table in tables.items() if key[0] and key[1]}


def _rows(key: _Key, old: _Row, new: _Row, about: Circumstances) -> tuple[list[Change], int]:
    """What differs in the probes of a subject on a problem, and how many both have."""
    before, after = ({text(row, "probe"): row for row in mappings(table, "rows")} for table in (old, new))
    changes = []
    for probe, row in before.items():
        if probe not in after:
            changes.append(_change("vanished", key, probe, f"was {text(row, 'verdict')}", red=True))
        elif (change := _verdict(key, probe, row, after[probe]) or _drift(key, probe, row, after[probe], about)) is not None:
            changes.append(change)
    for probe, row in after.items():
        if probe not in before:
            red = text(row, "verdict") in RED
            changes.append(_change("new", key, probe, _said(row), red, counted=red))
    return changes, len(before.keys() & after.keys())


def _verdict(key: _Key, probe: str, old: _Row, new: _Row) -> Change | None:
    before, after = text(old, "verdict"), text(new, "verdict")
    if before == after:
        return None
    worse = SEVERITY.get(after, 4) - SEVERITY.get(before, 4)
    kind: Kind = "regression" if worse > 0 else "improvement" if worse < 0 else "changed"
    return _change(kind, key, probe, f"{before} -> {_said(new)}", worse > 0, counted=after in RED)


def _drift(key: _Key, probe: str, old: _Row, new: _Row, about: Circumstances) -> Change | None:
    """A slack that grew tenfold above the floor."""
    if text(new, "verdict") != "holds" or not about.same_seed:
        return None
    said = drift_of(real(old, "slack"), real(new, "slack"))
    return _change("drift", key, probe, said, red=True) if said else None


def _cost(key: _Key, old: _Row, new: _Row) -> list[Change]:
    """Products and memory."""
    changes = []
    for name, title in (("products", "products"), ("peak_bytes", "bytes at the peak")):
        a, b = integer(old, name), integer(new, name)
        least = 1.0 if name == "products" else MORE
        if b > least * a or a > least * b:
            dearer = b > a
            changes.append(_change("cost" if dearer else "improvement", key, "", f"{title} {a:,} -> {b:,}", red=dearer))
    return changes


def _said(row: _Row) -> str:
    reason = text(row, "reason") or text(row, "witness")
    return f"{text(row, 'verdict')}: {reason}" if text(row, "verdict") in RED and reason else text(row, "verdict")


def _change(kind: Kind, key: _Key, probe: str, said: str, red: bool = False, counted: bool = False) -> Change:
    what = " ".join(part for part in (probe, "of" if probe else "", key[0], "on", key[1]) if part)
    return Change(PART, kind, what, said, red, "" if kind == "vanished" else PART, counted, key[0])
