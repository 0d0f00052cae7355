"""What changed in the versions with which two reports were measured."""

from fishergauge.reports.page.difference_change import Change, Circumstances, Found
from fishergauge.reports.page.difference_data import mappings, text, texts
from fishergauge.reports.page.part import Part
from fishergauge.suites.wording import plural, some

PART = "environment"


def environment(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare versions; a difference is a note and never red.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    before, after = versions(old), versions(new)
    changes = [
        Change(PART, "note", name, f"{before[name] or 'not recorded'} -> {after[name] or 'not recorded'}", anchor=PART)
        for name in before
        if name in after and before[name] != after[name]
    ]
    for said, names in (
        ("no longer recorded", [name for name in before if name not in after]),
        ("recorded now", [name for name in after if name not in before]),
    ):
        if names:
            changes.append(Change(PART, "note", plural(len(names), "package"), f"{said}: {some(names, 5)}", anchor=PART))
    return Found(tuple(changes), len(before.keys() & after.keys()), "version")


def versions(part: Part | None) -> dict[str, str]:
    """The versions that a report names, by package; several of one package with commas.

    Args:
        part: that on the environment, or None.

    Example:
        >>> rows = [{"name": "torch", "versions": ["2.13", "", "2.13", "2.12"]}]
        >>> versions(Part("environment", "", "", {"versions": rows}))
        {'torch': '2.13, 2.12'}
    """
    rows = mappings(part.data, "versions") if part else []
    return {text(row, "name"): ", ".join(dict.fromkeys(filter(None, texts(row, "versions")))) for row in rows}
