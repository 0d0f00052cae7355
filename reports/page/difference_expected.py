"""What changed in the expected failures that subjects declare."""

from fishergauge.reports.page.difference_change import Change, Circumstances, Found
from fishergauge.reports.page.difference_data import integer, keyed, mappings, text
from fishergauge.reports.page.part import Part

PART = "expected"
FIELDS = ("subject", "claim", "problem", "reason")


def expected(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare declarations.

    A declaration that came, went or excuses another number of checks is told and not red: the check that it excuses is, in the
    part on conformance, as its verdict got worse. Red are declarations that are out of date now and were not before.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    before, after = (keyed(mappings(part.data, "declared"), *FIELDS) for part in (old, new))
    changes = []
    for key, row in after.items():
        if key not in before:
            changes.append(Change(PART, "new", _name(key), f"declared to fail: {key[3]}", anchor=PART))
        elif (a := integer(before[key], "checks")) != (b := integer(row, "checks")):
            changes.append(Change(PART, "changed", _name(key), f"excuses {a} -> {b} checks", anchor=PART))
    for key in before:
        if key not in after:
            changes.append(Change(PART, "changed", _name(key), f"not declared to fail any more: {key[3]}", anchor=PART))
    outdated, now = (keyed(mappings(part.data, "complaints"), "subject", "text") for part in (old, new))
    for key, row in now.items():
        if key not in outdated:
            changes.append(Change(PART, "regression", key[0], text(row, "text"), True, PART, counted=True))
    changes += [
        Change(PART, "improvement", key[0], f"no longer so: {text(row, 'text')}")
        for key, row in outdated.items()
        if key not in now
    ]
    return Found(tuple(changes), len(before.keys() & after.keys()), "declared failure")


def _name(key: tuple[str, ...]) -> str:
    return f"{key[0]} {key[1]}@{key[2]}"
