"""The ledger: what was found in which library, why, and which red cells it explains."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from fishergauge.suites.record import Record

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FINDINGS = Path(__file__).parent / "findings"
"""The folder of the ledger, with a script for each finding."""

Kind = Literal["defect", "accepted-silently", "numerical", "documented-convention", "ours"]
KINDS: Mapping[Kind, str] = {
    "defect": "a wrong number, a crash where support is promised, state left changed, or an option ignored without a word",
    "accepted-silently": "never promised, or documented as unsupported, but computed without a word, and wrong",
    "numerical": "the right formula, evaluated so that precision is lost",
    "documented-convention": "another convention than ours, documented; the adapter converts it",
    "ours": "a mistake of fishergauge, mended",
}


class LedgerError(ValueError):
    """The ledger is written wrongly; the message names file, entry, cause and remedy."""


@dataclass(frozen=True)
class Cells:
    """Which red cells a finding explains: globs, of which one in each list must match.

    Args:
        subjects: names of subjects.
        claims: ids of claims.
        problems: names of problems.
        dtypes: ``float64``, ``float32``.
        verdict: ``violated`` or ``error``; empty for both.
    """

    subjects: tuple[str, ...]
    claims: tuple[str, ...]
    problems: tuple[str, ...]
    dtypes: tuple[str, ...] = ("*",)
    verdict: str = ""

    def match(self, record: Record) -> bool:
        """Whether a record is among them."""
        return (
            self.verdict in ("", record.verdict)
            and _any(record.subject, self.subjects)
            and _any(record.claim, self.claims)
            and _any(record.problem, self.problems)
            and _any(record.dtype, self.dtypes)
        )


@dataclass(frozen=True)
class LedgerFinding:
    """One thing that was found in a library.

    Args:
        id: the name of its script in :data:`FINDINGS`, without ``.py``.
        library: its name on the package index.
        version: in which it was found.
        title: the fact, in one line.
        kind: one of :data:`KINDS`; ``class`` in the file.
        where: in the library's source.
        evidence: what it does, what it should do, how far it is off, when it does not show.
        expected: what the script prints as the right result.
        found: what it prints as the library's.
        upstream: a public report, if there is one.
        cells: what it explains; empty if the kit cannot see it.
    """

    id: str
    library: str
    version: str
    title: str
    kind: Kind
    where: str
    evidence: str
    expected: str
    found: str
    upstream: str = ""
    cells: tuple[Cells, ...] = ()

    @property
    def script(self) -> Path:
        """The file that shows it without fishergauge."""
        return FINDINGS / f"{self.id}.py"

    def explains(self, record: Record) -> bool:
        """Whether it is the reason of a red record."""
        return any(cells.match(record) for cells in self.cells)


def read_ledger(folder: Path = FINDINGS) -> list[LedgerFinding]:
    """All findings, library by library, in the order of the files.

    Args:
        folder: of the TOML files.

    Raises:
        LedgerError: a file is no TOML, a key or class is unknown, a text missing, a value of the wrong type, an id not unique.

    Example:
        >>> all(finding.kind in KINDS for finding in read_ledger())
        True
    """
    found: list[LedgerFinding] = []
    for path in sorted(folder.glob("*.toml")):
        for number, table in enumerate(_tables(path), 1):
            finding = _finding(table, f"{path.name}, finding {number}")
            if any(other.id == finding.id for other in found):
                raise LedgerError(f"{path.name}, finding {number}: the id {finding.id!r} stands in the ledger twice")
            found.append(finding)
    return found


def explanation(record: Record, ledger: Sequence[LedgerFinding]) -> LedgerFinding | None:
    """The first finding that explains a record, or None."""
    return next((finding for finding in ledger if finding.explains(record)), None)


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _tables(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path.name}: not TOML: {error}") from None
    tables = content.pop("finding", [])
    if content:
        raise LedgerError(f"{path.name}: unknown key {next(iter(content))!r}; a ledger has tables [[finding]] alone")
    if not isinstance(tables, list):
        raise LedgerError(f"{path.name}: 'finding' is a list of tables; write [[finding]], in double brackets")
    return tables


def _finding(table: Mapping[str, Any], where: str) -> LedgerFinding:
    names = {field.name: field.name for field in fields(LedgerFinding)} | {"kind": "class"}
    content = dict(table)
    cells = content.pop("cells", [])
    values = _texts(content, set(names.values()) - {"cells"}, {"upstream"}, where)
    if values["class"] not in get_args(Kind):
        raise LedgerError(f"{where}: class is one of {', '.join(KINDS)}, not {values['class']!r}")
    values["kind"] = values.pop("class")
    return LedgerFinding(**values, cells=tuple(_cells(one, where) for one in cells))  # type: ignore[arg-type]


def _texts(content: Mapping[str, Any], known: set[str], optional: set[str], where: str) -> dict[str, str]:
    if unknown := sorted(content.keys() - known):
        raise LedgerError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}, cells")
    for key in sorted(known - optional):
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise LedgerError(f"{where}: {key!r} is a text that is not empty, not {content.get(key)!r}")
    return {key: str(value).strip() for key, value in content.items()}


def _cells(table: Mapping[str, Any], where: str) -> Cells:
    lists = {"subjects", "claims", "problems", "dtypes"}
    if unknown := sorted(table.keys() - lists - {"verdict"}):
        raise LedgerError(f"{where}: unknown key {unknown[0]!r} of cells; known: {', '.join(sorted(lists))}, verdict")
    if table.get("verdict", "") not in ("", "violated", "error"):
        raise LedgerError(f"{where}: the verdict of cells is violated or error, not {table['verdict']!r}")
    for key in lists:
        value = table.get(key, ["*"] if key == "dtypes" else None)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise LedgerError(f"{where}: {key!r} of cells is a list of globs that is not empty, not {value!r}")
    return Cells(**{key: tuple(table[key]) for key in lists & table.keys()}, verdict=table.get("verdict", ""))
