"""What a report was asked for, as its command line says."""

import argparse
import shlex
from dataclasses import dataclass

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.neutral_command import neutral_command


@dataclass(frozen=True)
class Request:
    """What a report was asked for.

    Args:
        subjects: as given, without order.
        parts: those named; none for all.
        problem_files: as given, without order.
        dtype: of the checks.
        device: on which they ran.
        seed: of data and draws.
        quick: whether runs were to be short.
    """

    subjects: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    problem_files: frozenset[str] = frozenset()
    dtype: str = "float64"
    device: str = "cpu"
    seed: str = "0"
    quick: bool = False

    def asks_for(self, part: str) -> bool:
        """Whether a part belongs to the report."""
        return not self.parts or part in self.parts


def request_of(document: Document) -> Request:
    """Read the request from the command line that a report names.

    Options that do not say what is reported (titles, processes) are passed over, and so are the folders of files and of
    results, which differ between machines, and what cannot be read.

    Args:
        document: the report.

    Returns:
        The request; that of a command without options where the report names none.

    Example:
        >>> sorted(request_of(Document("r", (), "fishergauge report --out x --parts paper,bench")).parts)
        ['bench', 'paper']
    """
    try:
        words = shlex.split(neutral_command(document.command))
        given, _ = _parser().parse_known_args(words)
    except (ValueError, argparse.ArgumentError, SystemExit):
        return Request(quick=document.quick)
    parts = frozenset(name for group in given.parts for name in group.replace(",", " ").split())
    files = frozenset(given.problem_file)
    return Request(frozenset(given.subject), parts, files, given.dtype, given.device, given.seed, document.quick)


def _parser() -> argparse.ArgumentParser:
    """Only the options that say what is reported."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--subject", action="extend", nargs="+", default=[])
    parser.add_argument("--parts", action="extend", nargs="+", default=[])
    parser.add_argument("--problem-file", action="extend", nargs="+", default=[])
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", default="0")
    return parser
