"""What the report says in one sentence, and what in it is red."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.matrix import OWN, RED, VERDICTS, cell_anchor
from fishergauge.suites.wording import plural

_MOST = 20
_SAID = {
    "violated": ("is violated", "are violated"),
    "error": ("is in error", "are in error"),
    "unexpected": ("holds although declared to fail", "hold although declared to fail"),
    "expected": ("fails as declared", "fail as declared"),
    "unsupported": ("is refused as unsupported", "are refused as unsupported"),
    "not-claimed": ("was measured for information only", "were measured for information only"),
}
_NAMED = 3
"""So many subjects of the user are named in the headline."""


@dataclass(frozen=True)
class RedLine:
    """Something that fails the report.

    Args:
        part: title of the part in which it is.
        text: what it is.
        anchor: where on the page it stands, without the number sign.
    """

    part: str
    text: str
    anchor: str


def counts(document: Document, own: bool = True) -> dict[str, int]:
    """The checks by verdict.

    Args:
        document: the report.
        own: those of the reference and of your subjects, which fail the report; otherwise those of libraries.

    Returns:
        Verdicts that occur, the worst first.
    """
    total: Counter[str] = Counter()
    for subject in _subjects(document, own):
        total.update(subject.get("counts") or {})
    return {verdict: total[verdict] for verdict in VERDICTS if total[verdict]}


def tone(document: Document) -> str:
    """``red``, ``green``, or ``none`` where no check and no probe of an own subject is in the report.

    Args:
        document: the report.
    """
    if document.red:
        return "red"
    return "green" if counts(document) or _probed(document) else "none"


def headline(document: Document) -> str:
    """The verdict and the counts of the report in one sentence.

    Args:
        document: the report.

    Returns:
        Plain text.

    Example:
        >>> headline(Document("Report", ()))
        'No verdict: neither a reference quantity nor a subject of yours was checked.'
    """
    own, probed = counts(document), _probed(document)
    unchecked = "neither a reference quantity nor a subject of yours was checked"
    if not own and not document.red and not probed:
        return f"No verdict: {unchecked}{_findings(document)}."
    red = f"{_are(document.red, 'result')} red" if document.red else "Nothing is red"
    if not own:
        rest = f": {probed}; nothing was checked on small problems" if probed else f"; {unchecked}"
        return f"{red}{rest}{_findings(document)}."
    total = sum(own.values())
    said = [f"{own[verdict]:,} {forms[own[verdict] != 1]}" for verdict, forms in _SAID.items() if verdict in own]
    held = own.get("holds", 0)
    head = f"{red}: {held:,} of {total:,} checks of {_checked(document)} {'holds' if held == 1 else 'hold'}"
    large = f"; {probed}" if probed else ""
    return ", ".join([head, *said]) + _vacuous(document) + large + _findings(document) + "."


def red_lines(document: Document) -> list[RedLine]:
    """What fails the report, with links to cells where a line names subject and claim.

    Args:
        document: the report.

    Returns:
        The lines that the parts give, and one for those that a part counts but does not name.
    """
    cells = _cells(document)
    lines = []
    for part in document.parts:
        own = cells if part.name == "conformance" else []
        lines += [RedLine(part.title, text, _anchor(text, own, part.name)) for text in part.reds]
        if (more := part.red - len(part.reds)) > 0:
            lines.append(RedLine(part.title, f"{more} more" if part.reds else f"{_are(more, 'result')} red", part.name))
    return lines


def _checked(document: Document) -> str:
    """Who was checked: subjects of the user by name where they are few, reference quantities by number."""
    checked = [subject for subject in _subjects(document, own=True) if subject.get("counts")]
    yours = [str(subject["name"]) for subject in checked if subject["origin"] == "yours"]
    reference = len(checked) - len(yours)
    named = " and ".join(filter(None, (", ".join(yours[:-1]), *yours[-1:])))
    who = [named if len(yours) <= _NAMED else f"{len(yours)} subjects"] if yours else []
    kind = "reference quantity" if reference == 1 else "reference quantities"
    return " and of ".join([*who, *([f"{reference} {kind}"] if reference else [])])


def _subjects(document: Document, own: bool) -> list[dict[str, Any]]:
    part = document.part("conformance")
    subjects = part.data.get("subjects", ()) if part else ()
    return [subject for subject in subjects if (subject["origin"] in OWN) == own]


def _cells(document: Document) -> list[tuple[str, str]]:
    """Subject and claim of all red cells."""
    part = document.part("conformance")
    cells = part.data.get("cells", ()) if part else ()
    return [(cell["subject"], cell["claim"]) for cell in cells if cell["verdict"] in RED]


def _anchor(text: str, cells: list[tuple[str, str]], otherwise: str) -> str:
    words = set(re.split(r"[\s,;:()]+", text))
    named = [cell for cell in cells if cell[1] in words and cell[0] in text]
    return cell_anchor(*max(named, key=lambda cell: len(cell[0]))) if named else otherwise


def _vacuous(document: Document) -> str:
    """What is said of claims of own subjects that no problem examined."""
    number = sum(len(subject.get("vacuous") or {}) for subject in _subjects(document, own=True))
    return f"; {plural(number, 'claim')} {'was' if number == 1 else 'were'} examined on no problem" if number else ""


def _probed(document: Document) -> str:
    """What is said of large models, those probes left out that were for information alone."""
    part = document.part("probes")
    tables = part.data.get("tables", ()) if part else ()
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table["counts"])
    claimed = sum(total.values()) - total["not-claimed"]
    if not claimed:
        return ""
    largest = max(table["parameters"] for table in tables)
    return f"{total['holds']:,} of {plural(claimed, 'probe')} on models of up to {largest:,} parameters hold"


def _findings(document: Document) -> str:
    """What is said of libraries, whose failures are findings."""
    found, quantities = counts(document, own=False), len(_subjects(document, own=False))
    if not found:
        return ""
    against = sum(found.get(verdict, 0) for verdict in RED)
    checks = f"{sum(found.values()):,} checks of {quantities:,} quantit{'y' if quantities == 1 else 'ies'}"
    known = f"of {checks} of other libraries {found.get('expected', 0):,} fail as the ledger of findings says"
    return f"; {known}, and {f'{against:,}' if against else 'none'} contradict{'' if against > 1 else 's'} it"


def _are(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'} {'is' if count == 1 else 'are'}"
