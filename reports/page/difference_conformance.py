"""What changed in the conformance of subjects: by check where the records are at hand, by cell of the matrix otherwise."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fishergauge.reports.page.difference_change import Change, Circumstances, Found, Kind
from fishergauge.reports.page.difference_data import integer, keyed, mappings, real, text, texts
from fishergauge.reports.page.difference_slack import DRIFT, drift_of
from fishergauge.reports.page.matrix import OWN, cell_anchor
from fishergauge.reports.page.part import Part
from fishergauge.suites.baseline import SEVERITY, BaselineError, compare
from fishergauge.suites.baseline import Change as CheckChange
from fishergauge.suites.record import RED, Record
from fishergauge.suites.records_file import RecordsError, read_records
from fishergauge.suites.wording import plural, some

PART = "conformance"
RECORDS = Path("conformance") / "records.jsonl"
_SEVERITY = {**SEVERITY, "vacuous": 1}
_Cell = Mapping[str, Any]
_Key = tuple[str, ...]


def conformance(old: Part, new: Part, about: Circumstances) -> Found:
    r"""Compare two matrices of claims by subjects, cell by cell.

    Red are: a verdict of a cell that got worse (as in :data:`fishergauge.suites.baseline.SEVERITY`); fewer checks that hold,
    more that are red, or fewer checks at all under the same verdict; a cell that vanished; a slack that grew by more than a
    factor of 10 above 1/64; a new cell that is red. A check that got worse while another of the same cell got better is not
    seen here, but it is by :func:`by_records`. What libraries do is reported and never red, as in the report itself.

    A subject that is gone as a whole has vanished if both reports were asked for the same; otherwise it is a note.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.

    Returns:
        The changes.
    """
    if (before_types := sorted(texts(old.data, "dtypes"))) != (after_types := sorted(texts(new.data, "dtypes"))):
        return _refused(f"checked in {some(before_types, 3)} before, in {some(after_types, 3)} now")
    if (short := _quick(old)) != _quick(new):
        return _refused(f"one run is quick and the other full ({'the earlier' if short else 'this'} one is quick)")
    return _cells(old, new, about, frozenset())


def _cells(old: Part, new: Part, about: Circumstances, left_out: Collection[str]) -> Found:
    """Compare cells, without those of some subjects."""
    before, after = (
        {key: cell for key, cell in keyed(mappings(part.data, "cells"), "subject", "claim").items() if key[0] not in left_out}
        for part in (old, new)
    )
    gone, changes = _subjects(before, after, about, "claim")
    for key, cell in before.items():
        if key[0] in gone:
            continue
        if key not in after:
            changes.append(_change("vanished", key, f"was {text(cell, 'verdict')}", red=True))
        else:
            changes += [change for change in (_verdict(key, cell, after[key]), _drift(key, cell, after[key])) if change]
    known = {key[0] for key in before}
    for key, cell in after.items():
        if key not in before and (key[0] in known or text(cell, "verdict") in RED):
            changes.append(_change("new", key, _said(cell), red=text(cell, "verdict") in RED, cell=cell))
    found = _without_libraries(changes, old, new)
    return Found(tuple(found), len(before.keys() & after.keys()), "cell")


def by_records(old: Part, new: Part, folders: tuple[Path, Path], about: Circumstances) -> Found | None:
    """Compare the records of two reports, check by check, as ``fishergauge compare`` does; libraries by cells.

    Args:
        old: the earlier part.
        new: the later one.
        folders: of both reports.
        about: what both reports have in common.

    Returns:
        The changes, or None where one of the folders has no records that can be read, or they have no check in common.
    """
    try:
        before, after = (read_records(folder / RECORDS) for folder in folders)
    except RecordsError:
        return None
    examined = {record.subject for record in (*before, *after)}
    whole: list[Change] = []
    if about.common or _quick(old) != _quick(new):
        keys = {record.key for record in before} & {record.key for record in after}
        before, after = ([record for record in records if record.key in keys] for records in (before, after))
    else:
        gone, whole = _subjects([record.key for record in before], [record.key for record in after], about, "check")
        known = {record.subject for record in before}
        before = [record for record in before if record.subject not in gone]
        after = [record for record in after if record.subject in known or record.red]
    try:
        comparison = compare(before, after, DRIFT)
    except BaselineError:  # nothing in common
        return None
    changes = _placed(comparison.changes, {_name(record): record for record in (*before, *after)})
    rest = Found() if about.common else _cells(old, new, about, examined)
    found = _without_libraries([*whole, *changes], old, new)
    return Found((*found, *rest.changes), comparison.compared, "check")


def _quick(part: Part) -> bool:
    return bool(part.data.get("quick"))


def _refused(why: str) -> Found:
    return Found((Change(PART, "note", "", f"not compared: {why}"),), 0, "cell")


def _placed(changes: Iterable[CheckChange], records: Mapping[str, Record]) -> list[Change]:
    """Changes of checks as changes of the report, with the place that shows them."""
    placed = []
    for one in changes:
        record = records.get(one.check)
        anchor = cell_anchor(record.subject, record.claim) if record and one.kind != "vanished" else ""
        counted = bool(record and record.red and one.kind in ("regression", "new"))
        subject = record.subject if record else one.check.partition(" on ")[0]
        placed.append(Change(PART, one.kind, one.check, one.text, one.red, anchor, counted, subject))
    return placed


def _without_libraries(changes: Iterable[Change], *parts: Part) -> list[Change]:
    """The changes; those of libraries are not red."""
    rows = [row for part in parts for row in mappings(part.data, "subjects")]
    libraries = {text(row, "name") for row in rows if text(row, "origin") not in OWN}
    return [replace(one, red=False, counted=False) if one.subject in libraries else one for one in changes]


def _subjects(
    before: Collection[_Key], after: Collection[_Key], about: Circumstances, noun: str
) -> tuple[set[str], list[Change]]:
    """The subjects that are gone as a whole, and what is said of them and of new ones."""
    old, new = (list(dict.fromkeys(key[0] for key in keys)) for keys in (before, after))
    gone = [subject for subject in old if subject not in new]
    come = [subject for subject in new if subject not in old]
    changes: list[Change] = []
    if gone and about.same:
        counts = Counter(key[0] for key in before)
        for subject in gone:
            said = f"this subject is gone, with {plural(counts[subject], noun)}"
            changes.append(Change(PART, "vanished", subject, said, red=True, subject=subject))
    elif gone:
        changes.append(_absent(gone))
    new_subject = "a subject that the earlier report does not have"
    changes += [Change(PART, "new", subject, new_subject, anchor=PART, subject=subject) for subject in come]
    return set(gone), changes


def _absent(subjects: list[str]) -> Change:
    verb = "is" if len(subjects) == 1 else "are"
    return Change(PART, "note", "", f"{some(subjects, 5)} {verb} not in this report, which was not asked for the same")


def _verdict(key: _Key, old: _Cell, new: _Cell) -> Change | None:
    """A changed verdict, or changed counts under the same one."""
    before, after = text(old, "verdict"), text(new, "verdict")
    if before != after:
        worse = _SEVERITY.get(after, 4) - _SEVERITY.get(before, 4)
        kind: Kind = "regression" if worse > 0 else "improvement" if worse < 0 else "changed"
        return _change(kind, key, f"{before} -> {_said(new)}", red=worse > 0, cell=new)
    a, b = _counts(old), _counts(new)
    if not a or not b or a == b:
        return None
    said = f"{_listed(a)} -> {_listed(b)}"
    if sum(b.values()) < sum(a.values()):
        return _change("vanished", key, f"fewer checks: {said}", red=True, cell=new)
    reds = sum(b.get(name, 0) - a.get(name, 0) for name in RED)
    if reds > 0 or b.get("holds", 0) < a.get("holds", 0):
        return _change("regression", key, said, red=True, cell=new)
    return _change("new" if sum(b.values()) > sum(a.values()) else "improvement", key, said)


def _drift(key: _Key, old: _Cell, new: _Cell) -> Change | None:
    """A slack that grew tenfold above the floor."""
    if text(old, "verdict") != "holds" or text(new, "verdict") != "holds":
        return None
    said = drift_of(real(old.get("worst"), "slack"), real(new.get("worst"), "slack"))
    return _change("drift", key, said, red=True) if said else None


def _counts(cell: _Cell) -> dict[str, int]:
    counts = cell.get("counts")
    return {str(name): integer(counts, str(name)) for name in counts} if isinstance(counts, Mapping) else {}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def _said(cell: _Cell) -> str:
    verdict, reason = text(cell, "verdict"), text(cell.get("worst"), "reason")
    return f"{verdict}: {reason}" if verdict in RED and reason else verdict


def _change(kind: Kind, key: _Key, said: str, red: bool = False, cell: _Cell | None = None) -> Change:
    """A change of a cell; ``cell`` is the new one where its verdict may be red."""
    counted = cell is not None and text(cell, "verdict") in RED
    anchor = "" if cell is None and kind == "vanished" else cell_anchor(key[0], key[1])
    return Change(PART, kind, " ".join(key), said, red, anchor, counted, key[0])


def _name(record: Record) -> str:
    """A check as :mod:`fishergauge.suites.baseline` names it."""
    return f"{record.subject} {record.claim}@{record.problem}[{record.dtype}-{record.device}]"
