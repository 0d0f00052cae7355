"""Files of lines joined into one: as their concatenation, without what is there twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.store import StoreError, SweepStore
from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.wording import some

TIME = "seconds"
"""In the name of what may differ between two results of a cell."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Args:
        lines: that were written.
        damaged: number of lines that were left out.
        conflicts: lines of a cell with another result than the one that was written.
    """

    lines: Sequence[Line]
    damaged: int
    conflicts: Sequence[Line]


def merge(paths: Sequence[Path], out: Path, say: Callable[[str], None] = print) -> Merged:
    """Join files of lines.

    Of several lines of a key the first that is done counts, in the order of the files, and the last that failed where none is
    done. Results of other versions of the code are other keys, and all are kept.

    Args:
        paths: of the files, ``out`` may be one of them.
        out: the file to write, whole or not at all.
        say: is told of damaged lines, of conflicts, and of several versions of the code.

    Raises:
        StoreError: a file is not there, there is nothing in them, or ``out`` is there and not among them.
        SchemaError: a line has another schema.
    """
    if out.exists() and not any(path.exists() and path.samefile(out) for path in paths):
        raise StoreError(f"--out {out} exists; name it among the files to merge, or name another one")
    stores = [_store(path, say) for path in paths]
    kept: dict[str, Line] = {}
    second = [line for store in stores for line in store.second]
    for line in (line for store in stores for line in store.lines()):
        if (first := kept.get(line.key)) is not None and first.verdict == "done":
            second += [line] if line.verdict == "done" else []
        else:
            kept[line.key] = line
    if not kept:
        raise StoreError(f"there are no lines in {', '.join(map(str, paths))}; nothing was merged")
    conflicts = [line for line in second if not line.cell.alone and _timeless(line.result) != _timeless(kept[line.key].result)]
    for line in conflicts:
        say(f"conflict: {line.cell} has two results, from {kept[line.key].worker} (kept) and from {line.worker}")
    if len(codes := {f"fishergauge {line.code} with torch {line.torch}": None for line in kept.values()}) > 1:
        say(f"there are lines of several versions, of which a run uses its own: {some(list(codes), 5)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, "".join(f"{line.text()}\n" for line in kept.values()))
    except OSError as error:
        raise StoreError(f"--out {out} cannot be written: {error}; name another file") from None
    return Merged(list(kept.values()), sum(store.damaged for store in stores), conflicts)


def _store(path: Path, say: Callable[[str], None]) -> SweepStore:
    if path.is_dir():
        raise StoreError(f"{path} is a folder; give the file in it: {path / 'cells.jsonl'}")
    if not path.exists():
        raise StoreError(f"{path}: no such file; give the cells.jsonl that a sweep has written")
    return SweepStore(path, say)


def _timeless(result: Any) -> Any:
    """A result without the times in it."""
    if isinstance(result, dict):
        return {name: _timeless(value) for name, value in result.items() if TIME not in name}
    return [_timeless(value) for value in result] if isinstance(result, list) else result
