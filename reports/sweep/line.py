"""A line of a sweep's file: a cell that was tried, and what came of it."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from fishergauge.reports.sweep.cell import CellError, SweepCell, cell_from, key_of
from fishergauge.reports.usage import UsageError
from fishergauge.suites.jsonable import jsonable

SCHEMA = 1
VERDICTS = ("done", "failed")
_TEXTS = ("error", "trace", "worker")


class LineError(ValueError):
    """A damaged line; the message says what is wrong with it."""


class SchemaError(UsageError):
    """A line of another schema, which another version of fishergauge wrote."""


@dataclass(frozen=True)
class Line:
    """What came of a cell, as it is kept in ``cells.jsonl``.

    Args:
        key: of the cell, for the code and torch that computed it.
        cell: what was computed.
        verdict: ``"done"`` or ``"failed"``.
        result: what the function returned, as JSON gives it back; None of a failed cell.
        error: why it failed, in one line.
        trace: the traceback, where there is one.
        seconds: that the function took.
        attempts: how often the cell was begun; more than once where its process died.
        worker: host and number of the process.
        code: version of the code.
        torch: its version.
    """

    key: str
    cell: SweepCell
    verdict: Literal["done", "failed"]
    result: Any = None
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    attempts: int = 1
    worker: str = ""
    code: str = ""
    torch: str = ""

    def text(self) -> str:
        """One line of JSON, without the end of the line; numbers that are not finite are null, with a reason beside them."""
        content = {
            "schema": SCHEMA,
            "key": self.key,
            "verdict": self.verdict,
            "cell": self.cell.as_dict(),
            "result": self.result,
            **{name: value for name in _TEXTS if (value := getattr(self, name))},
            "seconds": self.seconds,
            "attempts": self.attempts,
            "code": self.code,
            "torch": self.torch,
        }
        return json.dumps(jsonable(content), allow_nan=False)


def parse_line(text: str | bytes) -> Line:
    """The line that :meth:`Line.text` has written.

    Args:
        text: one line.

    Raises:
        LineError: it is damaged: cut off, not JSON, without a field, or its key is not that of its content.
        SchemaError: it is of another schema.

    Example:
        >>> from fishergauge.reports.sweep.cell import make_cell
        >>> key = key_of("json:dumps", {"obj": 3}, code="1.0", torch="2.9")
        >>> line = Line(key, make_cell("json:dumps", obj=3), "failed", error="no", code="1.0", torch="2.9")
        >>> parse_line(line.text()) == line
        True
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise LineError("not the line of a cell")
    if content["schema"] != SCHEMA or isinstance(content["schema"], bool):
        raise SchemaError(
            f"schema {content['schema']!r}, this version of fishergauge reads schema {SCHEMA}; name another folder for the "
            "results, or read it with the version that wrote it"
        )
    return _line(content)


def _line(content: dict[str, Any]) -> Line:
    try:
        cell = cell_from(content["cell"])
        if content["verdict"] not in VERDICTS:
            raise LineError(f"its verdict is {content['verdict']!r}")
        seconds, attempts = float(content["seconds"]), int(content["attempts"])
        texts = {name: str(content.get(name, "")) for name in (*_TEXTS, "code", "torch")}
        key, verdict, result = content["key"], content["verdict"], content["result"]
    except (KeyError, TypeError, ValueError, CellError) as error:
        raise LineError(str(error) if isinstance(error, CellError | LineError) else f"incomplete: {error!r}") from None
    if key != key_of(cell.function, dict(cell.settings), texts["code"], texts["torch"]):
        raise LineError("its key is not that of its content")
    return Line(key, cell, verdict, result, seconds=seconds, attempts=attempts, **texts)
