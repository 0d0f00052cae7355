"""The kit run on many subjects into a folder: finished ones are kept, so that a restart goes on; none stops the others."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fishergauge.reports.code_version import code_version
from fishergauge.reports.conformance_kept import Kept, forget_other_code
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import is_reference, reference_specs
from fishergauge.reports.conformance_subject import failed, said
from fishergauge.reports.usage import UsageError
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.record import VERDICTS
from fishergauge.suites.wording import plural

SCHEMA = 1
FOLDER = "conformance"
MODULE = "fishergauge.reports.conformance_subject"
PROGRAM = f"import sys; from {MODULE} import main; sys.exit(main(sys.argv[1:]))"
INTERRUPTED = 130
LEFT_OUT = ("kept", "code", "spec", "exit_code")
"""What the process says of a subject and no reader needs."""


def run_conformance(
    specs: Sequence[str], out: Path, options: ConformanceOptions, command: str = "", fresh: bool = False
) -> int:
    """Run the kit on subjects and write ``conformance/records.jsonl`` and ``conformance/subjects.json``.

    A user's subject has a process of its own; the reference quantities share one. A subject that cannot be loaded, or whose
    process ends, becomes an entry with an error, and the run goes on.

    Args:
        specs: as ``fishergauge check`` takes them; none: the reference quantities.
        out: folder of the results; made where it is missing.
        options: of the run.
        command: that was given, for ``subjects.json``.
        fresh: whether finished subjects are computed anew.

    Returns:
        1 if a check is red, an expected failure out of date or a subject not checked; 3 if nothing is, but a claim was not
        examined on any problem; 0 otherwise.

    Raises:
        UsageError: a subject is named twice, two have one name, or the options cannot be honoured; what is finished is kept.
    """
    wanted = [_relative(spec) for spec in specs] or reference_specs(options.quick)
    for spec in wanted:
        if wanted.count(spec) > 1:
            raise UsageError(f"the subject {spec} is given twice; name it once")
    folder = out / FOLDER / "records"
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:
        for path in folder.glob("*.json*"):
            path.unlink()
    forget_other_code(folder)
    entries: dict[str, dict[str, Any]] = {}
    try:
        for group in _groups(wanted):
            _run(group, options, folder, entries)
    finally:
        _write(entries, wanted, options, command, out / FOLDER)
    print(_summary(list(entries.values())), flush=True)
    codes = {entry["exit_code"] for entry in entries.values()}
    return 1 if 1 in codes else max(codes)


def _summary(entries: Sequence[Mapping[str, Any]]) -> str:
    """All subjects in one line."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts.update(entry["counts"])
    head = f"{plural(len(entries), 'subject')}, {plural(sum(counts.values()), 'check')}"
    each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing examined"
    failed = sum(1 for entry in entries if entry.get("error"))
    return f"{head}: {each}" + (f"; {plural(failed, 'subject')} could not be checked" if failed else "")


def _relative(spec: str) -> str:
    """A subject's file seen from the current directory, where it lies below it: results then do not say where that is."""
    path, colon, attribute = spec.rpartition(":")
    if path and Path(path).is_absolute() and Path(path).is_relative_to(Path.cwd()):
        return f"{Path(path).relative_to(Path.cwd())}{colon}{attribute}"
    return spec


def _groups(specs: Sequence[str]) -> list[list[str]]:
    """Which subjects share a process."""
    ours = [spec for spec in specs if is_reference(spec)]
    return ([ours] if ours else []) + [[spec] for spec in specs if not is_reference(spec)]


def _run(specs: Sequence[str], options: ConformanceOptions, folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Run subjects in one process, and in a new one those that are left when a subject has taken it with it."""
    left = list(specs)
    while left:
        code, answers = _process(left, options, folder, entries)
        for answer in answers:
            if "refused" in answer:
                raise UsageError(answer["refused"])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        left = [spec for spec in left if spec not in entries]
        if left:
            spec = left.pop(0)
            entries[spec] = failed(spec, options, f"its process ended ({_fate(code)}) while it was imported or checked")
            print(said(entries[spec]), flush=True)


def _process(
    specs: Sequence[str], options: ConformanceOptions, folder: Path, entries: dict[str, dict[str, Any]]
) -> tuple[int, list[dict[str, Any]]]:
    """Start a process for subjects and wait; the entries of those that it finished are added, whatever happens."""
    taken = {entry["name"]: spec for spec, entry in entries.items()}
    with TemporaryDirectory() as place:
        answers = Path(place) / "answers.jsonl"
        asked = {"specs": specs, "options": asdict(options), "taken": taken}
        places = {"folder": str(folder.resolve()), "answers": str(answers)}
        try:
            code = _waited([sys.executable, "-c", PROGRAM, json.dumps({**asked, **places})])
        finally:
            found = _answers(answers)
            entries.update({answer["spec"]: answer for answer in found if "spec" in answer})
    return code, found


def _waited(command: Sequence[str]) -> int:
    """The exit code of a process, which ends with this one."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _answers(path: Path) -> list[dict[str, Any]]:
    """What a process has said; a line that it did not finish is left out."""
    found: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


def _fate(code: int) -> str:
    """How a process ended."""
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"signal {-code}"


def _write(
    entries: Mapping[str, Mapping[str, Any]], wanted: Sequence[str], options: ConformanceOptions, command: str, folder: Path
) -> None:
    """Write the records of all finished subjects, in their order, and what there is to say of each subject."""
    ordered = [entries[spec] for spec in wanted if spec in entries]
    files = [Kept(folder / "records", entry["digest"]).records for entry in ordered if entry["checks"]]
    write_atomically(folder / "records.jsonl", "".join(file.read_text(encoding="utf-8") for file in files))
    content = {
        "schema": SCHEMA,
        "command": command,
        "code": code_version(),
        "options": options.selection,
        "subjects": [{name: value for name, value in entry.items() if name not in LEFT_OUT} for entry in ordered],
        "unfinished": [spec for spec in wanted if spec not in entries],
    }
    write_atomically(folder / "subjects.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
