"""One expected failure, and how it is read from a subject or from ``fishergauge.toml``."""

import datetime
import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fishergauge.suites.subject import Subject

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = "expected"
TABLES = (TABLE,)


class ExpectationError(ValueError):
    """Expected failures are written wrongly; the message gives the file, the entry, the cause and a remedy."""


@dataclass(frozen=True)
class Expectation:
    """A failure that is known and has a reason.

    Args:
        claim: id or name of a claim, or a glob.
        reason: why the failure is accepted.
        subject: name of a subject, or a glob.
        problem: name of a problem, or a glob.
        issue: where it is dealt with.
        expires: the last day on which the entry counts.
        origin: where it stands, for messages.
    """

    claim: str
    reason: str
    subject: str = "*"
    problem: str = "*"
    issue: str = ""
    expires: datetime.date | None = None
    origin: str = ""

    def concerns(self, subject: str) -> bool:
        """Whether it speaks of a subject."""
        return _fits(subject, self.subject)

    def names(self, claim: str, alias: str, problem: str) -> bool:
        """Whether it means a check, given id and name of the claim."""
        return (_fits(claim, self.claim) or _fits(alias, self.claim)) and _fits(problem, self.problem)

    def spells_out(self, claim: str, alias: str, problem: str) -> bool:
        """Whether it names the check without globs."""
        return self.claim in (claim, alias) and self.problem == problem

    def __str__(self) -> str:
        return f"{self.origin} ({self.claim}@{self.problem})"


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


KEYS = {item.name for item in fields(Expectation)} - {"origin"}


def of_subject(subject: Subject) -> tuple[Expectation, ...]:
    """The expected failures that a subject declares, ``{"claim@problem": reason}``.

    Raises:
        ExpectationError: a key is not of this form.
    """
    entries = []
    for key, reason in subject.expected_failures.items():
        claim, at, problem = str(key).strip().partition("@")
        if not (claim and at and problem):
            raise ExpectationError(
                f"subject {subject.name}: the expected failure {key!r} is not of the form 'claim@problem'; write "
                f"{(claim or '*') + '@' + (problem or '*')!r}, for instance"
            )
        origin = f"subject {subject.name}, expected failure {key!r}"
        entries.append(Expectation(claim, reason, problem=problem, origin=origin))
    return tuple(entries)


def of_file(path: Path) -> tuple[Expectation, ...]:
    """The expected failures of a ``fishergauge.toml``, of whichever subject.

    Raises:
        ExpectationError: no such file, not TOML, an unknown key, a missing one, a value of the wrong type.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ExpectationError(f"{path}: no such file; fishergauge accept SUBJECT --file {path} writes one") from None
    except OSError as error:
        raise ExpectationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ExpectationError(f"{path}: byte {error.start} is not UTF-8 text, which TOML is") from None
    return parse(text, str(path))


def parse(text: str, where: str) -> tuple[Expectation, ...]:
    r"""The expected failures in the text of a ``fishergauge.toml``.

    Args:
        text: TOML with tables ``[[expected]]``.
        where: the file, for messages.

    Raises:
        ExpectationError: as :func:`of_file`.

    Example:
        >>> parse('[[expected]]\nclaim = "T4"\nreason = "known"', "fishergauge.toml")[0].problem
        '*'
    """
    try:
        content = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ExpectationError(f"{where}: not TOML: {error}") from None
    for name in content:
        if name not in TABLES:
            raise ExpectationError(f"{where}: unknown table or key {name!r}; {_nearest(name, TABLES)}")
    entries = content.get(TABLE, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ExpectationError(f"{where}: '{TABLE}' is a list of tables; begin each entry with [[{TABLE}]], in double brackets")
    return tuple(_entry(entry, f"{where}, entry {number}") for number, entry in enumerate(entries, 1))


def _entry(entry: Mapping[str, Any], where: str) -> Expectation:
    for key, value in entry.items():
        if key not in KEYS:
            raise ExpectationError(f"{where}: unknown key {key!r}; {_nearest(key, sorted(KEYS))}")
        if key == "expires":
            if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
                raise ExpectationError(
                    f"{where}: 'expires' is a date such as 2027-01-31, without quotes and without a time, not {value!r}"
                )
        elif not isinstance(value, str):
            raise ExpectationError(f"{where}: {key!r} is a text in quotes, not {value!r}")
        elif not value.strip() and key in ("subject", "claim", "problem"):
            raise ExpectationError(f"{where}: {key!r} is empty and so matches nothing; '*' matches everything")
    for key in ("claim", "reason"):
        if key not in entry:
            raise ExpectationError(f"{where}: without {key!r}; every entry says which claim fails and why")
    return Expectation(**entry, origin=where)


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is meant, or at all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
