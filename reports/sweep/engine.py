"""An engine: whatever computes the cells of a sweep, in one process, on several, or on many machines."""

import json
from collections.abc import Generator, Sequence
from typing import Literal, Protocol

from fishergauge.reports.code_version import code_version
from fishergauge.reports.sweep.cell import SweepCell, key_of, torch_version
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.usage import UsageError

MOST_ATTEMPTS = 3
"""Deaths of its process after which a cell has failed."""


class EngineError(UsageError):
    """Cells cannot be computed at all: no scheduler, workers of another version; the message names cause and remedy."""


class Engine(Protocol):
    """What computes cells.

    Each cell is yielded exactly once, failed ones included, in the order in which they end. A timing cell (``cell.alone``) runs
    while no other cell of the sweep does. A cell whose process dies is begun again, and has failed when it died three
    times; the others lose nothing by it.
    """

    name: str

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        """Compute cells; closing the generator ends what is not finished.

        Args:
            cells: each key once.

        Yields:
            A line a cell.

        Raises:
            EngineError: nothing can be computed, or no more.
        """
        ...


def line_of(cell: SweepCell, answer: str, attempts: int = 1) -> Line:
    """The line of a cell from what its process answered.

    Args:
        cell: that was asked for.
        answer: of :func:`fishergauge.reports.sweep.computation.answer_to`.
        attempts: how often it was begun.

    Raises:
        EngineError: the process has another version of fishergauge or of torch.
    """
    content = json.loads(answer)
    here = {"code": code_version(), "torch": torch_version()}
    there = {name: content.get(name, version) for name, version in here.items()}
    if there != here:
        raise EngineError(
            f"the worker {content['worker']} has fishergauge {there['code']} with torch {there['torch']}, and here is "
            f"fishergauge {here['code']} with torch {here['torch']}; install the same on both, and start again: what is "
            "finished is kept"
        )
    verdict: Literal["done", "failed"] = "done" if content["verdict"] == "done" else "failed"
    texts = {name: str(content.get(name, "")) for name in ("error", "trace", "worker")}
    seconds = float(content.get("seconds", 0.0))
    return Line(cell.key, cell, verdict, content.get("result"), seconds=seconds, attempts=attempts, **texts, **here)


def line_of_the_dead(cell: SweepCell, attempts: int, how: str) -> Line:
    """The line of a cell whose process died each time.

    Args:
        cell: that was asked for.
        attempts: how often it was begun.
        how: its process ended.
    """
    code, version = code_version(), torch_version()
    key = key_of(cell.function, dict(cell.settings), code, version)
    error = f"its process died {attempts} times" + (f" ({how})" if how else "")
    return Line(key, cell, "failed", error=error, attempts=attempts, code=code, torch=version)
