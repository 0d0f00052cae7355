"""Records on disk: JSON Lines, one check a line, with a versioned schema."""

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.record import SCHEMA, VERDICTS, Key, Record

REQUIRED = ("subject", "claim", "problem", "dtype", "device", "verdict")
NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class RecordsError(ValueError):
    """A records file cannot be written or read; the message gives the file, the line, the cause and a remedy."""


def write_records(records: Iterable[Record], path: Path) -> None:
    r"""Write records in the order given, one JSON object a line, whole or not at all.

    ``schema`` comes first. Numbers that are not finite are written as ``null``, with ``"inf"``, ``"-inf"`` or ``"nan"`` under
    ``<key>_reason``. The same records give the same bytes.

    Args:
        records: at least one, each check at most once.
        path: the file, replaced if it exists; its folder must exist.

    Raises:
        RecordsError: there is nothing to write, a check occurs twice, or the file cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "run.jsonl"
        >>> write_records([Record("mine", "T4", "mlp", measured=float("inf"), bound=1e-13)], file)
        >>> read_records(file)[0].measured
        inf
        >>> file.read_text()[:40]
        '{"schema": 1, "subject": "mine", "claim"'
    """
    seen: set[Key] = set()
    lines = []
    for record in records:
        if record.key in seen:
            raise RecordsError(f"{path}: {_name(record.key)} is to be written twice; give each subject a name of its own")
        seen.add(record.key)
        lines.append(json.dumps(jsonable(record.as_dict()), allow_nan=False) + "\n")
    if not lines:
        raise RecordsError(f"{path}: there are no records to write; nothing was checked")
    try:
        write_atomically(path, "".join(lines))
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written: {error}") from None


def read_records(path: Path) -> list[Record]:
    """Read what :func:`write_records` has written.

    Fields that this version does not know are passed over, and fields other than those that identify the check and its
    verdict may be absent; a line of another schema is refused. ``slack`` follows from the other fields. Empty lines are
    passed over, so files may be concatenated.

    Args:
        path: a records file.

    Returns:
        The records in the order of the file.

    Raises:
        RecordsError: no such file, not a records file, no record in it, a damaged or truncated line, another schema, or a
            check that occurs twice.
    """
    text = _text(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise RecordsError(f"{path}: the file is empty; write one with fishergauge check ... --json {path}")
    records: dict[Key, Record] = {}
    numbers: dict[Key, int] = {}
    for number, line in lines:
        cut = number == lines[-1][0] and not text.endswith("\n")
        record = _record(line, f"{path}, line {number}", first=not records, cut=cut)
        if record.key in records:
            raise RecordsError(
                f"{path}, line {number}: {_name(record.key)} stands on line {numbers[record.key]} already; one run is one "
                "file, and each check occurs once in it"
            )
        records[record.key], numbers[record.key] = record, number
    return list(records.values())


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RecordsError(f"{path}: no such file; write one with fishergauge check ... --json {path}") from None
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecordsError(f"{path}: not a records file: byte {error.start} is not UTF-8 text") from None


def _record(line: str, where: str, first: bool, cut: bool) -> Record:
    """One line as a record."""
    try:
        content = json.loads(line, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if cut:
            raise RecordsError(
                f"{where}: the file ends in the middle of this line (truncated); write it anew, or delete the line"
            ) from None
        kind = "not a records file, or damaged" if first else "damaged"
        raise RecordsError(f"{where}: {kind}: {error}; write the file anew, or delete the line") from None
    return record_of(content, where)


def record_of(content: object, where: str) -> Record:
    """The record that :meth:`~fishergauge.suites.record.Record.as_dict` and JSON have made this of.

    Args:
        content: an object of JSON.
        where: it stands, for messages.

    Raises:
        RecordsError: it is no record, or one of another schema.

    Example:
        >>> record_of(jsonable(Record("mine", "T4", "mlp", measured=float("inf")).as_dict()), "here").measured
        inf
    """
    if not isinstance(content, dict) or "schema" not in content:
        raise RecordsError(f'{where}: not a records file: a line is an object that begins with "schema": {SCHEMA}')
    if isinstance(content["schema"], bool) or content["schema"] != SCHEMA:
        raise RecordsError(
            f"{where}: schema {content['schema']!r}, this version of fishergauge reads schema {SCHEMA}; write the file anew "
            "with this version, or read it with the version that wrote it"
        )
    missing = [name for name in REQUIRED if name not in content]
    if missing:
        raise RecordsError(f"{where}: damaged: without {', '.join(missing)}")
    values = {name: convert(content, name, where) for name, convert in CONVERSIONS.items() if name in content}
    return Record(**values)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return content


def _no_constant(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")


def _wrong(name: str, expected: str, value: object, where: str) -> RecordsError:
    return RecordsError(f"{where}: damaged: {name} is {expected}, not {reprlib.repr(value)}")


def _number(content: Mapping[str, Any], name: str, where: str) -> float | None:
    """A number, null for none, or null with the reason that it is not finite."""
    value = content[name]
    if value is None:
        reason = content.get(f"{name}_reason")
        return NON_FINITE.get(reason) if isinstance(reason, str) else None
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(name, "a finite number or null", value, where)
    return number


def _duration(content: Mapping[str, Any], name: str, where: str) -> float:
    number = _number(content, name, where)
    if number is None:
        raise _wrong(name, "a number", None, where)
    return number


def _whole(content: Mapping[str, Any], name: str, where: str) -> int:
    value = content[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "a whole number", value, where)
    return value


def _whole_or_none(content: Mapping[str, Any], name: str, where: str) -> int | None:
    return None if content[name] is None else _whole(content, name, where)


def _string(content: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(content[name], str):
        raise _wrong(name, "a text", content[name], where)
    return str(content[name])


def _verdict(content: Mapping[str, Any], name: str, where: str) -> str:
    if content[name] not in VERDICTS:
        raise _wrong(name, f"one of {', '.join(VERDICTS)}", content[name], where)
    return _string(content, name, where)


def _notes(content: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = content[name]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a list of texts", value, where)
    return tuple(value)


def _versions(content: Mapping[str, Any], name: str, where: str) -> dict[str, str | None]:
    value = content[name]
    if not isinstance(value, dict) or not all(item is None or isinstance(item, str) for item in value.values()):
        raise _wrong(name, "an object of texts", value, where)
    return value


def _name(key: Key) -> str:
    subject, claim, problem, dtype, device = key
    return f"the check {claim}@{problem}[{dtype}-{device}] of {subject}"


CONVERSIONS: dict[str, Callable[[Mapping[str, Any], str, str], Any]] = {
    **dict.fromkeys(("subject", "claim", "problem", "dtype", "device"), _string),
    "seed": _whole,
    "verdict": _verdict,
    **dict.fromkeys(("measured", "bound"), _number),
    **dict.fromkeys(("formula", "reason", "source", "witness", "nearest", "again"), _string),
    "notes": _notes,
    "seconds": _duration,
    "flops": _whole_or_none,
    "versions": _versions,
}
