"""The cells of ``fishergauge peers``: what each library did, which findings showed, and what contradicts the ledger."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fishergauge.reports.page.part import Gap

NAME = "peers/peers.csv"
COMMAND = "fishergauge peers"
NEEDED = ("subject", "claim", "problem", "dtype", "status", "finding")


@dataclass(frozen=True)
class PeersCells:
    """What is counted in the cells of a run.

    Args:
        libraries: number of cells by library and status.
        dtypes: by library, in the order of the file.
        seen: number of red cells by the finding that explains them, as the ledger says.
        wrong: cells that contradict the ledger, grouped by status, subject, claim and finding: where they are.
    """

    libraries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dtypes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    wrong: Mapping[tuple[str, str, str, str], Sequence[str]] = field(default_factory=dict)


def read_cells(out: Path) -> tuple[PeersCells, Gap | None]:
    """Count the cells of a run.

    Args:
        out: folder of the results.

    Returns:
        The counts; and a gap where the file is missing, or holds lines that cannot be read.
    """
    from fishergauge.suites.peers.judgement import WRONG

    what = "cells of the libraries"
    libraries: dict[str, Counter[str]] = defaultdict(Counter)
    dtypes: dict[str, dict[str, None]] = defaultdict(dict)
    seen: Counter[str] = Counter()
    wrong: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    damaged = 0
    try:
        for row in _rows(out / NAME):
            if row is None:
                damaged += 1
                continue
            subject, claim, problem, dtype, status, finding = row
            library = subject.partition("/")[0]
            libraries[library][status] += 1
            dtypes[library][dtype] = None
            if status == "expected":
                seen[finding] += 1
            elif status in WRONG:
                wrong[status, subject, claim, finding].append(f"{problem} ({dtype})")
    except (FileNotFoundError, NotADirectoryError):
        return PeersCells(), Gap(what, f"{NAME} is not there.", COMMAND)
    except (OSError, ValueError, csv.Error) as error:
        return PeersCells(), Gap(what, f"{NAME} is damaged: {error}. Remove it and run the command again.", COMMAND)
    found = PeersCells(libraries, {name: tuple(own) for name, own in dtypes.items()}, seen, wrong)
    if damaged:
        return found, Gap(what, f"{NAME} is damaged: {damaged} of its lines cannot be read. Run the command again.", COMMAND)
    return found, None


def _rows(path: Path) -> Iterator[tuple[str, ...] | None]:
    """The needed fields of each line; None for a line that lacks one or says a status that does not exist."""
    from fishergauge.suites.peers.judgement import STATUSES

    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if absent := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
            raise ValueError(f"it has no column {absent[0]!r}")
        for line in reader:
            row = tuple(line[name] for name in NEEDED)
            yield row if None not in row and line["status"] in STATUSES else None
