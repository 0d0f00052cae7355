"""What changed in the findings in today's libraries."""

from fishergauge.reports.page.difference_change import Change, Circumstances, Found
from fishergauge.reports.page.difference_data import integer, keyed, mappings, real, text
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import slug
from fishergauge.suites.wording import plural

PART = "peers"
RUN = "run"


def peers(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare two states of the ledger of libraries and of the runs held against it.

    Red are cells that contradict the ledger now and did not before, and a library that was run and is not any more although
    both reports were asked for the same. A finding that came, went or no longer shows is told, and not red: the ledger itself
    says when a cell that it knows is mended.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    before, after = (keyed(mappings(part.data, "findings"), "id") for part in (old, new))
    changes = [
        Change(PART, "new", key[0], f"a new finding: {text(row, 'title')}", anchor=_anchor(key[0]))
        for key, row in after.items()
        if key not in before
    ]
    changes += [
        Change(PART, "changed", key[0], f"no longer in the ledger: {text(row, 'title')}")
        for key, row in before.items()
        if key not in after
    ]
    for key in before.keys() & after.keys():
        a, b = real(before[key], "seen"), real(after[key], "seen")
        if a is not None and b is not None and a != b:
            cells = f"{int(a)} -> {plural(int(b), 'red cell')}"
            said = f"shows no more: {cells}" if b == 0 else cells
            changes.append(Change(PART, "improvement" if b < a else "changed", key[0], said, anchor=_anchor(key[0])))
    changes.sort(key=lambda change: change.what)
    return Found((*changes, *_libraries(old, new, about), *_wrong(old, new)), len(before.keys() & after.keys()), "finding")


def _libraries(old: Part, new: Part, about: Circumstances) -> list[Change]:
    """What became of the runs of libraries."""
    where = f"{PART}-by-library"
    before, after = (keyed(mappings(part.data, "libraries"), "library") for part in (old, new))
    changes = []
    for key, row in before.items():
        now = after.get(key, {})
        ran, runs = text(row, "state") == RUN, text(now, "state") == RUN
        if ran and not runs:
            said = f"was run, is {text(now, 'state') or 'gone'}"
            changes.append(Change(PART, "vanished" if about.same else "note", key[0], said, red=about.same, anchor=where))
        elif runs and not ran:
            changes.append(Change(PART, "new", key[0], f"was {text(row, 'state') or 'unknown'}, is run now", anchor=where))
        elif ran and (a := text(row, "ran_with")) != (b := text(now, "ran_with")):
            changes.append(Change(PART, "note", key[0], f"version {a or 'unknown'} -> {b or 'unknown'}", anchor=where))
    return changes


def _wrong(old: Part, new: Part) -> list[Change]:
    """Cells that contradict the ledger."""
    before, after = (keyed(mappings(part.data, "wrong"), "status", "subject", "claim") for part in (old, new))
    changes = []
    for key, row in after.items():
        a, b = integer(before.get(key), "cells"), integer(row, "cells")
        if b > a:
            said = f"{key[0]}: {a} -> {plural(b, 'cell')} that contradict the ledger ({text(row, 'on')})"
            changes.append(Change(PART, "regression", f"{key[1]} {key[2]}", said, True, f"{PART}-contradictions", counted=True))
    for key, row in before.items():
        a, b = integer(row, "cells"), integer(after.get(key), "cells")
        if b < a:
            said = f"{key[0]}: {a} -> {plural(b, 'cell')} that contradict the ledger"
            changes.append(Change(PART, "improvement", f"{key[1]} {key[2]}", said, anchor=PART))
    return changes


def _anchor(finding: str) -> str:
    return f"{PART}-{slug(finding)}"
