"""The red cells that are known, one by one: a file a library, in which a mended cell and a new one show."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fishergauge.suites.peers.ledger import FINDINGS, LedgerError

COLUMNS = ("subject", "claim", "dtype", "verdict", "finding", "problems")

Key = tuple[str, str, str, str]


class ExpectedCell(NamedTuple):
    """A check that is known to be red.

    Args:
        subject: name of the subject.
        claim: id of the claim.
        problem: name of the problem.
        dtype: ``float64`` or ``float32``.
        verdict: ``violated`` or ``error``.
        finding: the id of the finding that explains it.
    """

    subject: str
    claim: str
    problem: str
    dtype: str
    verdict: str
    finding: str

    @property
    def key(self) -> Key:
        """What identifies the check."""
        return self.subject, self.claim, self.problem, self.dtype


def read_expected(folder: Path = FINDINGS) -> list[ExpectedCell]:
    """The known red cells of all libraries.

    Args:
        folder: of the CSV files, in which a line has all problems on which a claim is red for one reason.

    Raises:
        LedgerError: a file has other columns, or a cell stands in it twice.
    """
    found: dict[Key, ExpectedCell] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise LedgerError(f"{path.name}: the columns are {','.join(COLUMNS)}; renew it by fishergauge peers --update")
            for number, row in enumerate(reader, 2):
                for problem in row["problems"].split():
                    cell = ExpectedCell(row["subject"], row["claim"], problem, row["dtype"], row["verdict"], row["finding"])
                    if cell.key in found:
                        raise LedgerError(
                            f"{path.name}, line {number}: {cell.claim} of {cell.subject} on {problem} is there twice"
                        )
                    found[cell.key] = cell
    return list(found.values())


def write_expected(cells: Iterable[ExpectedCell], folder: Path) -> list[Path]:
    """Write the known red cells, sorted, so that a difference of two versions can be read.

    Args:
        cells: of all libraries; files of libraries without any are removed.
        folder: of the files.

    Returns:
        The files written.
    """
    libraries: dict[str, dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        line = (cell.subject, cell.claim, cell.dtype, cell.verdict, cell.finding)
        libraries[cell.subject.partition("/")[0]][line].append(cell.problem)
    for path in folder.glob("*.csv"):
        if path.stem not in libraries:
            path.unlink()
    written = []
    for library, lines in sorted(libraries.items()):
        path = folder / f"{library}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([*line, " ".join(sorted(problems))] for line, problems in sorted(lines.items()))
        written.append(path)
    return written
