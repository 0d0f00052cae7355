"""What the table of claims by subjects says in words: its summary, and what in it is red."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fishergauge.reports.page.conformance_libraries import Libraries
from fishergauge.reports.page.matrix import RED
from fishergauge.suites.wording import number, plural, title

_REST = {
    "expected": "{} fail as declared",
    "unsupported": "{} were refused as unsupported",
    "not-claimed": "{} were measured for information",
}


def summary(subjects: Sequence[Mapping[str, Any]], problems: int, libraries: Libraries, options: Mapping[str, Any]) -> str:
    """The numbers of the part in a sentence or two.

    Args:
        subjects: the reference and yours.
        problems: on how many they were checked.
        libraries: what was found in libraries.
        options: of the run.
    """
    said = []
    if subjects:
        counts = _sum(subjects)
        checked = sum(1 for subject in subjects if subject["counts"])
        which = " (a covering subset)" if options.get("quick") else ""
        of = f"{_checks(counts)} of {plural(checked, 'subject')} on {plural(problems, 'problem')}{which}"
        said.append(f"{of}: {_in_words(counts)}.")
        vacuous = sum(len(subject.get("vacuous", {})) for subject in subjects)
        if vacuous:
            said.append(f"{plural(vacuous, 'claim')} {_was(vacuous)} examined on no problem (vacuous).")
        unchecked = sum(1 for subject in subjects if subject.get("error"))
        if unchecked:
            said.append(f"{plural(unchecked, 'subject')} could not be checked.")
    if libraries.subjects:
        counts, red = _sum(libraries.subjects), sum(_sum(libraries.subjects)[verdict] for verdict in RED)
        rows, names = len(libraries.subjects), {subject["library"] for subject in libraries.subjects}
        of = f"{rows} {_plural_y(rows, 'quantit')} of {len(names)} {_plural_y(len(names), 'librar')}"
        known = f"{counts['expected']:,} are red as the ledger of findings says"
        against = f"{red:,} contradict it" if red else "none contradicts it"
        said.append(
            f"Beside them {of} with {_checks(counts)}: {counts['holds']:,} hold, {known}, {against}, "
            f"{counts['unsupported']:,} were refused."
        )
    return " ".join(said)


def reds(subjects: Iterable[Mapping[str, Any]], cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """What fails the report, a line each: subjects that could not be checked, declarations that are out of date, red cells.

    Args:
        subjects: the reference and yours.
        cells: theirs.
    """
    from fishergauge.suites.claims import CLAIMS

    lines = []
    for subject in subjects:
        if subject.get("error"):
            lines.append(f"{subject['name']} could not be checked: {_line(subject['error'])}")
        lines += [f"{subject['name']}: {_line(text)}" for text in subject.get("complaints", ())]
    return lines + [_red(cell, title(cell["claim"], CLAIMS)) for cell in cells if cell["verdict"] in RED]


def _red(cell: Mapping[str, Any], claim: str) -> str:
    check = cell["worst"]
    more = sum(cell["counts"].get(verdict, 0) for verdict in RED) - 1
    also = f" and {plural(more, 'more check')}" if more else ""
    parts = [f"{claim} of {cell['subject']} on {check['problem']}{also}: {check['verdict']}"]
    if check.get("measured") is not None and check.get("bound") is not None:
        parts.append(f"measured {number(check['measured'])}, bound {number(check['bound'])}")
    elif check.get("measured_reason"):
        parts.append(f"measured {check['measured_reason']}")
    parts += [_line(check["reason"])] if check.get("reason") else []
    parts += [f"nearest: {_line(check['nearest'])}"] if check.get("nearest") else []
    parts += [f"again: {check['again']}"] if check.get("again") else []
    return "; ".join(parts)


def _in_words(counts: Mapping[str, int]) -> str:
    red = {verdict: counts[verdict] for verdict in RED if counts[verdict]}
    each = ", ".join(f"{number:,} {verdict}" for verdict, number in red.items())
    total = sum(red.values())
    said = [
        f"{counts['holds']:,} hold{'s' if counts['holds'] == 1 else ''}",
        f"{total:,} {'is' if total == 1 else 'are'} red ({each})" if red else "none is red",
    ]
    return ", ".join([*said, *(text.format(f"{counts[verdict]:,}") for verdict, text in _REST.items() if counts[verdict])])


def _sum(subjects: Iterable[Mapping[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for subject in subjects:
        counts.update(subject["counts"])
    return counts


def _checks(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return f"{total:,} check{'' if total == 1 else 's'}"


def _plural_y(count: int, stem: str) -> str:
    return f"{stem}{'y' if count == 1 else 'ies'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _line(text: str) -> str:
    """The first line of a text, cut where it is long."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 240 else f"{line[:239]}…"
