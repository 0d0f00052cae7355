"""Cells of the quantities of libraries, from the files of ``fishergauge peers``: counted, with few details."""

import csv
import glob
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fishergauge.reports.page.conformance_cells import TOLD, detail, ordered_counts, urgency
from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.matrix import RED, worst
from fishergauge.reports.page.part import Gap
from fishergauge.suites.wording import plural

NAME = "peers/peers.csv"
RUN = "peers/peers.json"
RECORDS = "peers/records"
COMMAND = "fishergauge peers"
WHAT = "cells of the libraries"
MOST_OTHERS = 1
"""Further checks that are told of a cell, of another finding each: there are thousands of cells."""
AS_THEY_ARE = ("holds", "expected", "unsupported", "not-claimed")
"""Statuses that are verdicts as well; the others contradict the ledger."""
_NEEDED = ("subject", "claim", "problem", "dtype", "status", "verdict", "measured", "bound", "slack", "finding", "reason")
_Row = dict[str, Any]


@dataclass(frozen=True)
class Libraries:
    """What libraries bring to the table.

    Args:
        subjects: their quantities.
        cells: by subject and claim.
        problems: names of all problems.
        dtypes: of all checks.
        gaps: what could not be read.
    """

    subjects: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    problems: frozenset[str] = frozenset()
    dtypes: frozenset[str] = frozenset()
    gaps: tuple[Gap, ...] = ()

    @property
    def names(self) -> set[str]:
        """Of the quantities."""
        return {subject["name"] for subject in self.subjects}

    def without(self, names: Collection[str]) -> "Libraries":
        """The same without quantities whose names others have; a gap says so.

        Args:
            names: of other subjects.
        """
        if not (both := sorted(self.names & set(names))):
            return self
        gap = Gap(WHAT, f"A subject of yours has the name of a quantity: {', '.join(both)}. Yours is shown.", "")
        subjects = [subject for subject in self.subjects if subject["name"] not in both]
        cells = [cell for cell in self.cells if cell["subject"] not in both]
        return replace(self, subjects=subjects, cells=cells, gaps=(*self.gaps, gap))


class _Gathering:
    """A cell while the rows are read: counts, and for each finding the check that matters most."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[tuple[str, str], _Row] = {}

    def add(self, row: _Row) -> None:
        self.counts[row["verdict"]] += 1
        key = row["verdict"], row["finding"]
        if key not in self.first or urgency(row) < urgency(self.first[key]):
            self.first[key] = row

    def cell(self, subject: str, claim: str, folder: Path) -> dict[str, Any]:
        counts = ordered_counts(self.counts)
        ordered = sorted(self.first.values(), key=urgency)
        told = [row for row in ordered[1:] if row["verdict"] in TOLD][:MOST_OTHERS]
        cell = {
            "subject": subject,
            "claim": claim,
            "verdict": worst(counts),
            "counts": counts,
            "checks": sum(counts.values()),
            "worst": _told(ordered[0], folder),
        }
        if told:
            cell["others"] = [_told(row, folder) for row in told]
        further = sum(counts.get(verdict, 0) for verdict in TOLD) - len(told) - (ordered[0]["verdict"] in TOLD)
        if further > 0:
            cell["more"] = further
        return cell


def read_libraries(out: Path) -> Libraries:
    """Read what ``fishergauge peers`` has left.

    Args:
        out: folder of the results.

    Returns:
        Quantities and cells; nothing, and no gap, where no library was run.
    """
    if not (out / NAME).is_file() and not (out / RUN).is_file():
        return Libraries()
    run, gap = read_json(out, RUN, "what is known of the quantities of libraries", COMMAND)
    gaps = [gap] if gap else []
    found: dict[tuple[str, str], _Gathering] = defaultdict(_Gathering)
    problems, dtypes, damaged = set(), set(), 0
    try:
        for row in _rows(out / NAME):
            if row is None:
                damaged += 1
                continue
            problems.add(row["problem"])
            dtypes.add(row["dtype"])
            found[row["subject"], row["claim"]].add(row)
    except (FileNotFoundError, NotADirectoryError):
        gaps.append(Gap(WHAT, f"{NAME} is not there.", COMMAND))
    except (OSError, ValueError, csv.Error) as error:
        gaps.append(Gap(WHAT, f"{NAME} is damaged: {error}. Remove it and run the command again.", COMMAND))
    if damaged:
        gaps.append(Gap(WHAT, f"{NAME} is damaged: {damaged} of its lines cannot be read. Run the command again.", COMMAND))
    cells = [gathered.cell(*key, out / RECORDS) for key, gathered in found.items()]
    return Libraries(_subjects(run, cells), cells, frozenset(problems), frozenset(dtypes), tuple(gaps))


def _rows(path: Path) -> Iterator[_Row | None]:
    """Each line with the verdict that its status means here; None for one that cannot be read."""
    from fishergauge.suites.peers.judgement import STATUSES

    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if absent := [name for name in _NEEDED if name not in header]:
            raise ValueError(f"it has no column {absent[0]!r}")
        places = [header.index(name) for name in _NEEDED]
        meanings = {str(status): meaning for status, meaning in STATUSES.items()}
        for line in reader:
            whole = len(line) == len(header)
            yield _row(dict(zip(_NEEDED, (line[place] for place in places), strict=True)), meanings) if whole else None


def _row(line: _Row, statuses: Mapping[str, str]) -> _Row | None:
    status, verdict = line["status"], line["verdict"]
    if status not in statuses:
        return None
    if status in AS_THEY_ARE:
        line |= {"verdict": status, "reason": line["reason"] if status == "unsupported" else ""}
    else:  # it contradicts the ledger
        said = f"{status}: {statuses[status]}"
        line |= {"verdict": verdict if verdict in RED else "unexpected", "reason": _joined(said, line["reason"])}
    try:
        for name in ("measured", "bound", "slack"):
            _number(line, name)
    except ValueError:
        return None
    return line


def _number(line: _Row, name: str) -> None:
    """A number of a line as JSON allows it."""
    text = line[name]
    if not text:
        del line[name]
    elif text in ("inf", "-inf", "nan"):
        line |= {name: None, f"{name}_reason": text}
    else:
        line[name] = float(text)


def _joined(said: str, reason: str) -> str:
    return f"{said}; {reason}" if reason else said


def _told(row: _Row, folder: Path) -> dict[str, Any]:
    """What is shown of a check; of one that contradicts the ledger all that its record holds."""
    record = _record(row, folder) if row["verdict"] in RED else {}
    more = {name: record[name] for name in ("formula", "witness", "nearest", "again", "notes") if record.get(name)}
    return detail({**row, **more})


def _record(row: _Row, folder: Path) -> Mapping[str, Any]:
    """The record of a check; empty where none can be found."""
    names = ("subject", "claim", "problem", "dtype")
    stem = f"{row['subject'].replace('/', '-')}-{row['dtype']}"
    for path in sorted(folder.glob(f"{glob.escape(stem)}-*.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            if row["claim"] not in text or row["problem"] not in text:
                continue
            try:
                record = mapping(json.loads(text))
            except (ValueError, RecursionError):
                continue
            same = all(record.get(name) == row[name] for name in names)
            if same and record.get("measured") == row.get("measured"):
                return record
    return {}


def _subjects(run: Mapping[str, Any], cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The quantities in the order of the run, those that only the cells know last."""
    known = {str(one.get("name")): one for one in map(mapping, listed(run.get("quantities"))) if one.get("name")}
    counts: dict[str, Counter[str]] = {name: Counter() for name in known}
    for cell in cells:
        counts.setdefault(cell["subject"], Counter()).update(cell["counts"])
    return [_subject(name, known.get(name, {}), own) for name, own in counts.items() if own]


def _subject(name: str, known: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    target, structure, samples = (known.get(key) for key in ("target", "structure", "samples"))
    parts = [f"{key} {value}" for key, value in (("target", target), ("structure", structure)) if isinstance(value, str)]
    if isinstance(samples, int):
        parts.append(plural(samples, "sample"))
    return {
        "name": name,
        "library": str(known.get("library") or name.partition("/")[0]),
        "origin": "library",
        "target": str(target or ""),
        "structure": str(structure or ""),
        "declared": ", ".join(parts),
        "counts": ordered_counts(counts),
        "again": f"{COMMAND} --only {shlex.quote(name)}",
    }
