"""Records as JUnit XML, which continuous integration services display."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path

from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import RecordsError

ELEMENTS = {
    "violated": "failure",
    "unexpected": "failure",
    "error": "error",
    "expected": "skipped",
    "unsupported": "skipped",
    "not-claimed": "skipped",
}
KINDS = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))


def write_junit(records: Iterable[Record], path: Path) -> None:
    """Write records as JUnit XML: a test suite a subject, a test case a check.

    A check that is ``violated`` or ``unexpected`` is a failure, one in ``error`` an error; ``unsupported``, ``not-claimed`` and
    ``expected`` count as skipped, with the reason. Characters that XML does not allow are left out.

    Args:
        records: at least one, in the order in which they shall stand.
        path: the file, replaced if it exists; its folder must exist.

    Raises:
        RecordsError: there is nothing to write, or the file cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "junit.xml"
        >>> write_junit([Record("mine", "T4", "mlp", verdict="violated", reason="half of it")], file)
        >>> ET.parse(file).getroot().get("failures")
        '1'
    """
    found = list(records)
    if not found:
        raise RecordsError(f"{path}: there are no records to write; nothing was checked")
    root = ET.Element("testsuites", {"name": "fishergauge", **_counts(found)})
    for subject in dict.fromkeys(record.subject for record in found):
        own = [record for record in found if record.subject == subject]
        suite = ET.SubElement(root, "testsuite", {"name": _allowed(subject), **_counts(own)})
        for record in own:
            _add_case(suite, record)
    ET.indent(root)
    content = ET.tostring(root, encoding="unicode")
    try:
        write_atomically(path, f'<?xml version="1.0" encoding="utf-8"?>\n{content}\n')
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written: {error}") from None


def _add_case(suite: ET.Element, record: Record) -> None:
    name = f"{record.claim}[{record.dtype}-{record.device}]"
    attributes = {"classname": _allowed(record.problem), "name": _allowed(name), "time": _time([record])}
    case = ET.SubElement(suite, "testcase", attributes)
    kind = ELEMENTS.get(record.verdict)
    if kind is None:
        return
    reason = _allowed(record.reason) or "no reason given"
    if kind == "skipped":
        ET.SubElement(case, kind, {"type": record.verdict, "message": f"{record.verdict}: {reason}"})
        return
    message = f"{record.verdict} {record.claim} on {record.problem}: {reason}"
    ET.SubElement(case, kind, {"type": record.verdict, "message": _allowed(message)}).text = _text(record)


def _text(record: Record) -> str:
    """What is known of a failure, a line each."""
    bound = None if record.bound is None else f"{record.bound:.3g}{f' = {record.formula}' if record.formula else ''}"
    lines = {
        "reason": record.reason,
        "measured": None if record.measured is None else f"{record.measured:.3g}",
        "bound": bound,
        "source": record.source,
        "witness": record.witness,
        "nearest": record.nearest,
        "again": record.again,
        "seed": str(record.seed),
        "notes": "; ".join(record.notes),
    }
    return _allowed("\n".join(f"{key:9} {value}" for key, value in lines.items() if value))


def _counts(records: Sequence[Record]) -> dict[str, str]:
    elements = [ELEMENTS.get(record.verdict) for record in records]
    counted = {name: str(elements.count(element)) for name, element in KINDS}
    return {"tests": str(len(records)), **counted, "time": _time(records)}


def _time(records: Iterable[Record]) -> str:
    return f"{sum(record.seconds for record in records if math.isfinite(record.seconds)):.3f}"


def _allowed(text: str) -> str:
    """The text without the characters that XML 1.0 does not allow, and with plain line ends."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in plain if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff")
