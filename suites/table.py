"""The text of a whole run: claims by verdict, what is measured without being claimed, messages, and a summary line."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fishergauge.suites.message import messages
from fishergauge.suites.record import VERDICTS, Record
from fishergauge.suites.wording import number, paint, plural, some, title, wrapped

if TYPE_CHECKING:
    from fishergauge.suites.claim import Claim

CLAIMED = tuple(verdict for verdict in VERDICTS if verdict != "not-claimed")


def report_text(
    records: Sequence[Record],
    claims: "Mapping[str, Claim]",
    seconds: float,
    vacuous: Mapping[str, str] | None = None,
    complaints: Sequence[str] = (),
    color: bool = False,
    full: bool = False,
) -> str:
    """The text of a run: table, not claimed, messages, what is wrong with the run itself, summary.

    Args:
        records: of all checks.
        claims: by id.
        seconds: that the run took.
        vacuous: claims that no problem examined, and why.
        complaints: what else fails the run, such as an expected failure that did not occur.
        color: whether to use ANSI colours.
        full: one message a check, instead of one a cause.
    """
    parts = [table(records, claims, color), not_claimed(records, claims), notes(records)]
    parts += messages(records, claims, color=color, full=full)
    parts += [likely(records)]
    for id, why in (vacuous or {}).items():
        parts.append(_wrapped(f"{paint('vacuous', 'vacuous', color)}   {title(id, claims)}: {why}"))
    parts += [_wrapped(f"{paint('complaint', 'complaint', color)} {text}") for text in complaints]
    parts += [summary(records, seconds)]
    return "\n\n".join(part for part in parts if part)


def table(records: Iterable[Record], claims: "Mapping[str, Claim]", color: bool = False) -> str:
    """A row for each claim that is made: number of checks by verdict, largest slack with its problem, time.

    Args:
        records: of a run.
        claims: by id.
        color: whether to use ANSI colours.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.verdict != "not-claimed":
            groups.setdefault(record.claim, []).append(record)
    if not groups:
        return ""
    occurring = {record.verdict for group in groups.values() for record in group}
    shown = [verdict for verdict in CLAIMED if verdict in occurring or verdict in ("holds", "violated")]
    wide = max(len(title(id, claims)) for id in groups)
    head = f"{'claim':<{wide}}  checks" + "".join(f"  {verdict:>{max(5, len(verdict))}}" for verdict in shown)
    lines = [f"{head}  seconds  worst slack"]
    for id, group in groups.items():
        counts = Counter(record.verdict for record in group)
        line = f"{title(id, claims):<{wide}}  {len(group):>6}"
        for verdict in shown:
            cell = f"{counts[verdict] or '.':>{max(5, len(verdict))}}"
            line += "  " + (paint(cell, verdict, color) if counts[verdict] else cell)
        line += f"  {sum(record.seconds for record in group):>7.2f}{_worst(group)}"
        lines.append(line)
    return "\n".join(lines)


def not_claimed(records: Iterable[Record], claims: "Mapping[str, Claim]") -> str:
    """For what is measured without being claimed: the problems on which it happens to hold.

    Args:
        records: of a run.
        claims: by id.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.verdict == "not-claimed" and record.slack is not None:
            groups.setdefault(record.claim, []).append(record)
    if not groups:
        return ""
    lines = ["measured, not claimed"]
    for id, group in groups.items():
        holding = [record.problem for record in group if record.slack is not None and record.slack <= 1]
        where = f": {some(holding, 6)}" if holding and len(holding) < len(group) else ""
        lines.append(_wrapped(f"  {title(id, claims)} holds on {len(holding)} of {plural(len(group), 'problem')}{where}"))
    return "\n".join(lines)


def notes(records: Iterable[Record]) -> str:
    """The notes of the checks, those that agree up to numbers said once with the number of checks.

    Args:
        records: of a run.
    """
    found: dict[str, list[tuple[Record, str]]] = {}
    for record in records:
        for note in record.notes:
            kind = re.sub(r"[\d.]+(e[+-]?\d+)?", "#", note.replace(record.problem, "#"))
            found.setdefault(kind, []).append((record, note))
    lines = []
    for group in found.values():
        (record, note), number_of = group[0], len(group)
        where = f"{record.claim} on {record.problem}" + (f" and {plural(number_of - 1, 'more check')}" if number_of > 1 else "")
        lines.append(_wrapped(f"  {where}: {note}"))
    return "\n".join(["notes", *lines]) if lines else ""


def likely(records: Iterable[Record]) -> str:
    """The planted defect that is nearest in most of the violated checks, where several agree on it.

    Args:
        records: of a run.
    """
    nearest = [record.nearest.partition(" (")[0] for record in records if record.verdict == "violated" and record.nearest]
    if len(nearest) < 2:
        return ""
    name, count = Counter(nearest).most_common(1)[0]
    return _wrapped(f"nearest in {count} of {len(nearest)} violated checks: {name}") if count > 1 else ""


def summary(records: Sequence[Record], seconds: float) -> str:
    """One line with the number of checks by verdict.

    Args:
        records: of a run.
        seconds: that it took.

    Example:
        >>> summary([Record("mine", "T4", "mlp"), Record("mine", "T8", "mlp", verdict="not-claimed", measured=1.0)], 8.21)
        '1 check: 1 holds; 1 not claimed, measured for information; 8.2 s'
    """
    counts = Counter(record.verdict for record in records)
    claimed = sum(counts[verdict] for verdict in CLAIMED)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in CLAIMED if counts[verdict])
    text = plural(claimed, "check") + (f": {verdicts}" if verdicts else "")
    empty = sum(record.empty for record in records)
    if counts["not-claimed"] > empty:
        text += f"; {counts['not-claimed'] - empty} not claimed, measured for information"
    if empty:
        text += f"; {empty} with nothing to measure"
    return f"{text}; {seconds:.1f} s"


def _worst(group: Sequence[Record]) -> str:
    """The largest slack of a claim and the problem that has it."""
    measured = [record for record in group if record.slack is not None]
    if not measured:
        return ""
    worst = max(measured, key=lambda record: record.slack or 0.0)
    return f"  {number(worst.slack):>9}  {worst.problem}"


def _wrapped(text: str) -> str:
    return "\n".join(wrapped(text, rest="    "))
