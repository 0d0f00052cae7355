"""What is said of a check that did not hold: one message a cause, plain text of at most 120 columns."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fishergauge.suites.record import Record
from fishergauge.suites.wording import WIDTH, number, paint, plural, some, title, wrapped

if TYPE_CHECKING:
    from fishergauge.suites.claim import Claim

_LABEL = 12
_RIGHT = 68
SAID = ("unsupported", "expected", "unexpected", "error", "violated")
"""Verdicts that are reported by a message, those that fail the run last."""


def message(record: Record, claims: "Mapping[str, Claim]", color: bool = False, others: Sequence[Record] = ()) -> str:
    """The message of one check: what was claimed, what was measured, where it sits, what it resembles, how to repeat it.

    Args:
        record: of the check.
        claims: by id, for names and statements.
        color: whether to use ANSI colours.
        others: records of which the same is to be said; they are counted and the first three are named.

    Returns:
        Lines without a final newline, none longer than 120 columns except a word or command that cannot be broken.

    Example:
        >>> print(message(Record("mine", "T4", "mlp", verdict="error", reason="ValueError: no"), {}))
        error     T4   mine on mlp (float64, cpu, seed 0)
          reason    ValueError: no
    """
    claim = claims.get(record.claim)
    setting = f"{record.subject} on {record.problem} ({record.dtype}, {record.device}, seed {record.seed})"
    verdict = paint(record.verdict, record.verdict, color) + " " * max(1, 10 - len(record.verdict))
    lines = [f"{verdict}{title(record.claim, claims)}   {setting}"]
    if claim and record.verdict not in ("unsupported", "error"):  # these are about the subject, whatever was claimed
        lines += _row("claimed", claim.statement, record.source or claim.source)
    lines += _measured(record)
    lines += _row("reason", record.reason)
    lines += _row("witness", record.witness)
    lines += _row("nearest", record.nearest)
    for note in record.notes:
        lines += _row("note", note)
    lines += _row("also", _others(record, others))
    lines += _command(record.again)
    return "\n".join(lines)


def messages(
    records: Iterable[Record],
    claims: "Mapping[str, Claim]",
    verdicts: Sequence[str] = SAID,
    color: bool = False,
    full: bool = False,
) -> list[str]:
    """Messages of all checks with one of the verdicts, those with the same cause joined into one.

    Crashes and refusals have the same cause if their reasons agree up to numbers and the name of the problem; violations
    have it if they are of the same claim.

    Args:
        records: of a run, in its order.
        claims: by id.
        verdicts: which to report, in this order.
        color: whether to use ANSI colours.
        full: one message a check instead.
    """
    said: dict[tuple[object, ...], list[Record]] = {}
    for place, record in enumerate(records):
        key = (place,) if full else _cause(record)
        if record.verdict in verdicts:
            said.setdefault(key, []).append(record)
    ordered = sorted(said.values(), key=lambda group: verdicts.index(group[0].verdict))
    return [message(group[0], claims, color, group[1:]) for group in ordered]


def _cause(record: Record) -> tuple[object, ...]:
    """What two records share if one message is enough for both."""
    if record.verdict == "violated" or not record.reason:
        return record.subject, record.verdict, record.claim, record.dtype, record.device
    reason = record.reason.replace(record.problem, "#")
    return record.subject, record.verdict, re.sub(r"\d[\d.]*(e[+-]?\d+)?", "#", reason)


def _measured(record: Record) -> list[str]:
    """The row that sets the measurement against its bound."""
    if record.measured is None or record.bound is None:
        return []
    text = f"{number(record.measured):<10} bound {number(record.bound)}" + (f" = {record.formula}" if record.formula else "")
    slack = record.slack
    over = f"{number(slack, 2)} times over" if slack is not None and 1 < slack < float("inf") else ""
    return _row("measured", text, over)


def _others(record: Record, others: Sequence[Record]) -> str:
    """How many further checks have the same cause, and the first three of them."""
    if not others:
        return ""
    same_claim = all(other.claim == record.claim for other in others)
    names = [other.problem if same_claim else f"{other.claim} on {other.problem}" for other in others]
    what = "more problem" if same_claim else "more check"
    return f"on {plural(len(others), what)}: {some(names, 3)}"


def _row(label: str, text: str, right: str = "") -> list[str]:
    """A labelled row, wrapped; what belongs to the right goes there if there is room, and below otherwise."""
    if not text:
        return []
    lines = [line for part in text.splitlines() for line in wrapped(part, WIDTH - _LABEL)]
    if right:
        last = lines[-1].ljust(_RIGHT - _LABEL - 2) + "  " + right
        if len(last) <= WIDTH - _LABEL:
            lines[-1] = last
        else:
            lines += wrapped(right, WIDTH - _LABEL)
    first = f"  {label:<{_LABEL - 2}}{lines[0]}"
    return [first, *(" " * _LABEL + line for line in lines[1:])]


def _command(command: str) -> list[str]:
    """The row with the command, broken between options so that it can still be pasted into a shell."""
    if not command:
        return []
    room = WIDTH - _LABEL - 2
    lines = [""]
    for part in re.split(r"(?= --)", command):
        if lines[-1] and len(lines[-1]) + len(part) > room:
            lines.append(part.lstrip())
        else:
            lines[-1] += part
    joined = " \\\n".join([lines[0], *(" " * (_LABEL + 2) + line for line in lines[1:])])
    return f"  {'again':<{_LABEL - 2}}{joined}".splitlines()
