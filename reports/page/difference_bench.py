"""What changed in the benchmarks: counted cost and memory, as ``fishergauge bench --baseline`` judges them across machines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.page.difference_change import Change, Circumstances, Found, Kind
from fishergauge.reports.page.difference_data import keyed, mappings, real, text, texts
from fishergauge.reports.page.part import Part
from fishergauge.suites.wording import plural, some

if TYPE_CHECKING:
    from fishergauge.suites.benchmarks.record import BenchRecord

PART = "bench"
RECORDS = Path("bench") / "bench.jsonl"
_KINDS: Mapping[str, Kind] = {
    "wrong": "regression",
    "vanished": "vanished",
    "cost": "cost",
    "memory": "cost",
    "new": "new",
    "improvement": "improvement",
}


def by_records(old: Part, new: Part, folders: tuple[Path, Path], about: Circumstances) -> Found | None:
    """Compare the records of two reports.

    Args:
        old: the earlier part.
        new: the later one.
        folders: of both reports.
        about: what both reports have in common.

    Returns:
        The changes, or None where one of the folders has no records that can be read.
    """
    from fishergauge.suites.benchmarks.record import RecordError, read_records

    try:
        before, after = (read_records(folder / RECORDS) for folder in folders)
    except RecordError:
        return None
    found = _judged(before, after, about)
    return Found((*found.changes, *_growth(old, new)), found.compared, found.what)


def bench(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare the rows that two reports show: those of tasks that several implementations have done, and of subjects.

    A task that the later report does not show may have been done by one implementation alone; only a row of a subject has
    vanished then.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    cut = {_place(problem) for part in (old, new) for problem in mappings(part.data, "problems") if real(problem, "left_out")}
    before, after = _records(old, cut, ""), _records(new, cut, "" if about.same_torch else "another")
    tasks = {record.key[1:] for record in after}
    shown = [record for record in before if record.key[1:] in tasks or record.kind == "subject"]
    found = _judged(shown, after, about)
    changes = [*found.changes, *_growth(old, new)]
    for count, why in (
        (len(cut), "problems have too many rows for the page"),
        (len(before) - len(shown), "rows are not shown now"),
    ):
        if count:
            changes.append(Change(PART, "note", "", f"not compared: {count} {why}"))
    return Found(tuple(changes), found.compared, found.what)


def _judged(before: "Sequence[BenchRecord]", after: "Sequence[BenchRecord]", about: Circumstances) -> Found:
    """What the gate of the benchmarks says of two runs, as changes of the report."""
    from fishergauge.suites.benchmarks.gate import GateError, compare

    here, known = ({record.implementation for record in records} for records in (after, before))
    absent = Counter(record.implementation for record in before if record.implementation not in here)
    before = [record for record in before if record.implementation in here]
    come = Counter(record.implementation for record in after if record.implementation not in known)
    after = [record for record in after if record.implementation in known or record.red]
    notes = [
        Change(PART, "new", name, f"not in the earlier report, with {plural(count, 'benchmark')}", anchor=PART, subject=name)
        for name, count in come.items()
    ]
    if about.same:
        for name, count in absent.items():
            said = f"not measured any more, with {plural(count, 'benchmark')}"
            notes.append(Change(PART, "vanished", name, said, True, PART, subject=name))
    elif absent:
        said = f"{some(list(absent), 5)}: not measured in this report, which was not asked for the same"
        notes.append(Change(PART, "note", "", said))
    if not {record.key for record in before} & {record.key for record in after}:
        said = f"none of its {plural(len(before), 'benchmark')} is in this report"
        gone = [Change(PART, "vanished", "The earlier report", said, True, PART)] if before and about.same else []
        return Found((*gone, *notes), 0, "benchmark")
    try:
        report = compare(before, after, counted_only=True)
    except GateError as error:
        return Found((*notes, Change(PART, "note", "", f"not compared: {error}")), 0, "benchmark")
    wrong, were = ({record.key for record in records if record.red} for records in (after, before))
    changes = [
        Change(
            PART,
            _KINDS.get(one.kind, "note"),
            str(one.key),
            one.text,
            one.red,
            PART,
            counted=one.key in wrong,
            subject=one.key.implementation,
        )
        for one in report.changes
        if one.key is not None  # the others tell of versions, as the part on the environment does
        and not (one.kind == "wrong" and one.key in wrong & were)  # which is no change
    ]
    return Found((*changes, *notes), report.compared, "benchmark")


def _place(problem: Mapping[str, Any]) -> tuple[str, str, str]:
    return text(problem, "name"), text(problem, "dtype"), text(problem, "device")


def _records(part: Part, cut: set[tuple[str, str, str]], build: str) -> "list[BenchRecord]":
    """The rows of a part as records of benchmarks; ``build`` stands for that of torch."""
    from fishergauge.suites.benchmarks.record import BenchRecord

    records = {}
    for problem in mappings(part.data, "problems"):
        if (where := _place(problem)) in cut:
            continue
        for row in mappings(problem, "rows"):
            quantity, _, operation = text(row, "task").partition("/")
            forward, _, backward = text(row, "passes").partition("+")
            record = BenchRecord(
                text(row, "implementation"),
                quantity,
                operation,
                *where,
                kind=text(row, "kind"),
                peak_bytes=_whole(row, "peak_bytes"),
                flops=_whole(row, "flops"),
                forward_passes=int(forward) if forward.isdecimal() else None,
                backward_passes=int(backward) if backward.isdecimal() else None,
                verified=False if row.get("red") is True else True if text(row, "result") == "ok" else None,
                deviation=real(row, "deviation"),
                bound=real(row, "bound"),
                reason=text(row, "reason"),
                versions={"torch": build},
                machine={"torch": f"torch {build}"},
            )
            records[record.key] = record
    return list(records.values())


def _whole(row: Mapping[str, Any], name: str) -> int | None:
    value = real(row, name)
    return None if value is None else int(value)


def _growth(old: Part, new: Part) -> list[Change]:
    """Exponents of growth that are against theory now and were not before, and the other way round."""
    before, after = (keyed(mappings(part.data, "growth"), "implementation", "task", "family") for part in (old, new))
    changes = []
    for key, row in after.items():
        known = texts(before.get(key), "wrong")
        what = f"{key[0]} {key[1]} on {key[2]}"
        for reason in texts(row, "wrong"):
            if reason not in known:
                changes.append(Change(PART, "regression", what, reason, not known, PART, counted=True))
        if known and not texts(row, "wrong"):
            changes.append(Change(PART, "improvement", what, "grows as theory says again", anchor=PART))
    return changes
