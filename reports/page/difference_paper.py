"""What changed in the ledger of the paper's claims."""

from collections.abc import Mapping
from typing import Any

from fishergauge.reports.page.difference_change import Change, Circumstances, Found
from fishergauge.reports.page.difference_data import keyed, mappings, text, texts
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import slug
from fishergauge.suites.wording import some

PART = "paper"
MEASURED = {"as_published": "as published", "as_it_should_be": "as it should be"}
_Claims = Mapping[tuple[str, ...], Mapping[str, Any]]


def paper(old: Part, new: Part, about: Circumstances) -> Found:
    """Compare two ledgers.

    Red are a verdict that changed, in whichever direction, as the same seeds give the same verdict, and a claim that vanished.
    A verdict that rests on times, or was found with another torch, may change and is not red. An experiment that is gone as a
    whole has vanished if both reports were asked for the same; otherwise it is a note. Measurements that differ under the same
    verdict are notes.

    Args:
        old: the earlier part.
        new: the later one.
        about: what both reports have in common.
    """
    if (short := _quick(old)) != _quick(new):
        said = f"not compared: {'the earlier' if short else 'this'} run is quick and the other full"
        return Found((Change(PART, "note", "", said),), 0, "claim")
    before, after = _claims(old), _claims(new)
    changes = _gone(before, after, about)
    for key, claim in after.items():
        if key in before:
            changes += _changes(key, before[key], claim, about)
        else:
            changes.append(Change(PART, "new", _name(key), _said(claim), anchor=_anchor(key)))
    return Found(tuple(changes), len(before.keys() & after.keys()), "claim")


def _quick(part: Part) -> bool:
    return any("quick run" in remark for remark in texts(part.data, "remarks"))


def _claims(part: Part) -> _Claims:
    return keyed([claim for group in mappings(part.data, "groups") for claim in mappings(group, "claims")], "id", "data")


def _gone(before: _Claims, after: _Claims, about: Circumstances) -> list[Change]:
    """Claims that are not there any more; those of an experiment that is gone as a whole may have been left out."""
    here = {text(claim, "experiment") for claim in after.values()}
    changes, left_out = [], []
    for key, claim in before.items():
        if key in after:
            continue
        if about.same or text(claim, "experiment") in here:
            changes.append(Change(PART, "vanished", _name(key), f"was {_said(claim)}", red=True))
        else:
            left_out.append(text(claim, "experiment"))
    if left_out:
        said = f"{some(left_out, 5)}: not in this report, which was not asked for the same"
        changes.append(Change(PART, "note", "", said))
    return changes


def _changes(key: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any], about: Circumstances) -> list[Change]:
    """What differs in a claim."""
    before, after, anchor = _said(old), _said(new), _anchor(key)
    if text(old, "verdict") != text(new, "verdict"):
        timed = any(f"timed_{name}" in new for name in MEASURED)
        excuse = "; it rests on times" if timed else "" if about.same_torch else "; torch differs"
        said = f"{before} -> {after}{excuse}: {text(new, 'reason')}"
        return [Change(PART, "changed", _name(key), said, not excuse, anchor)]
    changes = [Change(PART, "changed", _name(key), f"{before} -> {after}", anchor=anchor)] if before != after else []
    for name, protocol in MEASURED.items():
        if (a := text(old, name)) != (b := text(new, name)):
            changes.append(Change(PART, "note", _name(key), f"measured {protocol}: {a} -> {b}", anchor=anchor))
    return changes


def _said(claim: Mapping[str, Any]) -> str:
    return f"{text(claim, 'verdict')} {text(claim, 'condition')}".strip()


def _name(key: tuple[str, ...]) -> str:
    return f"{key[0]} on {key[1]}"


def _anchor(key: tuple[str, ...]) -> str:
    return f"{PART}-{slug(key[0])}-{slug(key[1])}"
