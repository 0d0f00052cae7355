"""The kit run on many subjects as a sweep: finished checks are kept, so that a restart goes on; no subject stops the others."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from fishergauge.reference import Problem
from fishergauge.reports.code_version import code_version
from fishergauge.reports.conformance_entry import failed, finished, said
from fishergauge.reports.conformance_lookup import Known, Unknown, looked_up
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import is_reference, reference_specs
from fishergauge.reports.run_options import Progress
from fishergauge.reports.sweep.cell import SweepCell
from fishergauge.reports.sweep.cells_of_conformance import read, sweep_cells
from fishergauge.reports.sweep.engine import Engine
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.store import SweepStore
from fishergauge.reports.usage import UsageError
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.conformance import concluded
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.record import VERDICTS, Record
from fishergauge.suites.subject import Subject
from fishergauge.suites.wording import plural

SCHEMA = 1
FOLDER = "conformance"
CELLS = "cells.jsonl"
"""The file of the finished checks in the folder."""
LEFT_OUT = ("kept", "exit_code")
"""What this run knows of a subject and no reader needs."""


@dataclass(frozen=True)
class Asked:
    """Subjects that are to be checked, as far as they can be.

    Args:
        specs: as typed, in their order.
        options: of the run.
        subjects: what is known of each.
        cells: of those that can be checked.
    """

    specs: Sequence[str]
    options: ConformanceOptions
    subjects: Mapping[str, Known | Unknown]
    cells: Mapping[str, Sequence[SweepCell]]

    @property
    def all_cells(self) -> list[SweepCell]:
        """The cells of all subjects."""
        return [cell for own in self.cells.values() for cell in own]


def asked_of(specs: Sequence[str], options: ConformanceOptions) -> Asked:
    """What is to be checked.

    Args:
        specs: as ``fishergauge check`` takes them; none: the reference quantities.
        options: of the run.

    Raises:
        UsageError: a subject is named twice, two have one name, or the options cannot be honoured.
    """
    wanted = [_relative(spec) for spec in specs] or reference_specs(options.quick)
    for spec in wanted:
        if wanted.count(spec) > 1:
            raise UsageError(f"the subject {spec} is given twice; name it once")
    subjects = looked_up(wanted, options)
    taken: dict[str, str] = {}
    for spec, one in subjects.items():
        if isinstance(one, Unknown):
            if one.refused:
                raise UsageError(one.reason)
            continue
        if one.name in taken:
            raise UsageError(f"two subjects are called {one.name!r}: {taken[one.name]} and {spec}; give each a name of its own")
        taken[one.name] = spec
    several = sum(not is_reference(spec) for spec in wanted) > 1
    known = [one for one in subjects.values() if isinstance(one, Known)]
    cells = {one.spec: sweep_cells(one, options, several and not is_reference(one.spec)) for one in known}
    return Asked(wanted, options, subjects, cells)


def run_conformance(
    asked: Asked, out: Path, store: SweepStore, engine: Engine, command: str = "", shown: Progress | None = None
) -> int:
    """Run the kit on subjects and write ``conformance/records.jsonl`` and ``conformance/subjects.json``.

    A subject that cannot be loaded, or a part of which cannot be checked, becomes an entry with an error, and the run goes on.

    Args:
        asked: what is checked.
        out: folder of the results; made where it is missing.
        store: of the checks.
        engine: makes them.
        command: that was given, for ``subjects.json``.
        shown: is told how far it is.

    Returns:
        1 if a check is red, an expected failure out of date or a subject not checked; 3 if nothing is, but a claim was not
        examined on any problem; 0 otherwise.

    Raises:
        EngineError: the engine can compute nothing, or no more; what is finished is kept.
    """
    run = _Run(asked, store, shown)
    try:
        run.begin()
        run.end(sweep(asked.all_cells, store, engine, run.told, say=lambda line: None))
    finally:
        _write(run, command, out / FOLDER)
    print(_summary(list(run.entries.values())), flush=True)
    codes = {entry["exit_code"] for entry in run.entries.values()}
    return 1 if 1 in codes else max(codes)


class _Run:
    """Subjects as their checks come to an end.

    Args:
        asked: what is checked.
        store: of the checks.
        shown: is told how far it is.
    """

    def __init__(self, asked: Asked, store: SweepStore, shown: Progress | None) -> None:
        self.asked, self.store, self.shown = asked, store, shown
        self.entries: dict[str, dict[str, Any]] = {}
        self.records: dict[str, Sequence[Record]] = {}
        self._owner = {cell: spec for spec, own in asked.cells.items() for cell in own}
        self._kept = frozenset(cell for cell in self._owner if self._done(cell))

    def begin(self) -> None:
        """Say what is known before anything is computed."""
        for spec, one in self.asked.subjects.items():
            if isinstance(one, Unknown):
                self._enter(spec, failed(spec, self.asked.options, one.reason))
            else:
                self._conclude(spec)

    def told(self, done: int, total: int, what: object) -> None:
        """A cell has ended; perhaps it is the last one of its subject."""
        if self.shown is not None:
            self.shown(done, total, what)
        if isinstance(what, SweepCell):
            self._conclude(self._owner[what])

    def end(self, lines: Mapping[SweepCell, Line]) -> None:
        """All cells have ended; those that failed fail their subjects."""
        for spec, own in self.asked.cells.items():
            if wrong := [lines[cell].error for cell in own if lines[cell].verdict == "failed"]:
                one = self.asked.subjects[spec]
                error = f"{len(wrong)} of {plural(len(own), 'part')} could not be checked: {wrong[0]}"
                self._enter(spec, failed(spec, self.asked.options, error, one if isinstance(one, Known) else None))

    def _conclude(self, spec: str) -> None:
        """Judge a subject if all its checks have been made."""
        one, own = self.asked.subjects[spec], self.asked.cells.get(spec, ())
        lines = [line for cell in own if (line := self.store.get(cell)) is not None and line.verdict == "done"]
        if not isinstance(one, Known) or len(lines) < len(own):
            return
        report = concluded(
            Subject(one.name, _elsewhere),
            read([line.result for line in lines], one),
            [CLAIMS[id] for id in one.demands],
            one.expectations,
            one.absent,
            self.asked.options.claims != "*",
            sum(line.seconds for line in lines),
        )
        self.records[spec] = report.records
        digest = hashlib.sha256("".join(line.key for line in lines).encode()).hexdigest()[:16]
        self._enter(spec, finished(one, self.asked.options, report, digest, self._kept.issuperset(own)))

    def _enter(self, spec: str, entry: dict[str, Any]) -> None:
        self.entries[spec] = entry
        if self.shown is not None:
            self.shown.clear()
        print(said(entry), flush=True)

    def _done(self, cell: SweepCell) -> bool:
        line = self.store.get(cell)
        return line is not None and line.verdict == "done"


def _elsewhere(problem: Problem) -> NoReturn:
    """In the place of a subject, which only the processes of its checks have loaded."""
    raise NotImplementedError("it is called where its checks are made")


def _summary(entries: Sequence[Mapping[str, Any]]) -> str:
    """All subjects in one line."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts.update(entry["counts"])
    head = f"{plural(len(entries), 'subject')}, {plural(sum(counts.values()), 'check')}"
    each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing examined"
    failures = sum(1 for entry in entries if entry.get("error"))
    return f"{head}: {each}" + (f"; {plural(failures, 'subject')} could not be checked" if failures else "")


def _relative(spec: str) -> str:
    """A subject's file seen from the current directory, where it lies below it: results then do not say where that is."""
    path, colon, attribute = spec.rpartition(":")
    if path and Path(path).is_absolute() and Path(path).is_relative_to(Path.cwd()):
        return f"{Path(path).relative_to(Path.cwd())}{colon}{attribute}"
    return spec


def _write(run: _Run, command: str, folder: Path) -> None:
    """Write the records of all finished subjects, in their order, and what there is to say of each subject."""
    specs, entries = run.asked.specs, run.entries
    folder.mkdir(parents=True, exist_ok=True)
    records = [record for spec in specs for record in run.records.get(spec, ())]
    lines = [json.dumps(jsonable(record.as_dict()), allow_nan=False) + "\n" for record in records]
    write_atomically(folder / "records.jsonl", "".join(lines))
    ordered = [entries[spec] for spec in specs if spec in entries]
    content = {
        "schema": SCHEMA,
        "command": command,
        "code": code_version(),
        "options": run.asked.options.selection,
        "subjects": [{name: value for name, value in entry.items() if name not in LEFT_OUT} for entry in ordered],
        "unfinished": [spec for spec in specs if spec not in entries],
    }
    write_atomically(folder / "subjects.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
