"""The record of one measured case, and its form in a file."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args, get_origin

SCHEMA = 1


class RecordError(ValueError):
    """A file is no list of benchmark records; the message names cause and remedy."""


class Key(NamedTuple):
    """What a record is compared by."""

    implementation: str
    quantity: str
    operation: str
    problem: str
    dtype: str
    device: str

    def __str__(self) -> str:
        return f"{self.implementation} {self.quantity}/{self.operation} on {self.problem} ({self.dtype}, {self.device})"


@dataclass(frozen=True)
class BenchRecord:
    """What one implementation of a task costs on one problem.

    Args:
        implementation: its name.
        quantity: of the task.
        operation: of the task.
        problem: its name, which contains the size.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"`` or ``"cuda"``.
        kind: whose implementation it is, see :class:`~fishergauge.suites.benchmarks.implementation.Implementation`.
        sizes: N, P and C of the problem.
        median_seconds: median synchronised wall time of a call; None where nothing was timed.
        fastest_seconds: the fastest call.
        event_seconds: median time between two events on the device; None on the CPU.
        rounds: how many calls were timed.
        peak_bytes: most bytes held during a call beyond its start, result included.
        flops: of matrix products and convolutions, as torch counts them.
        forward_passes: evaluations of the model.
        backward_passes: backward passes through its outputs.
        limit_flops: operations that no implementation of the task can avoid; None where none are known.
        limit_bytes: bytes that it must read and write at least.
        limit_seconds: the larger of both at the measured rates of this machine.
        verified: whether the result was compared with an independent one before it was timed, and agreed; None where it
            was not compared.
        deviation: from the independent result, relative.
        bound: on the deviation.
        against: what it was compared with.
        reason: why something was not measured.
        versions: of packages.
        machine: as :func:`fishergauge.suites.benchmarks.machine.machine` gives it.

    Example:
        >>> BenchRecord("fishergauge", "ggn", "dense", "mlp-small", "float64", "cpu").key.operation
        'dense'
    """

    implementation: str
    quantity: str
    operation: str
    problem: str
    dtype: str
    device: str
    kind: str = "reference"
    sizes: Mapping[str, int] = field(default_factory=dict)
    median_seconds: float | None = None
    fastest_seconds: float | None = None
    event_seconds: float | None = None
    rounds: int = 0
    peak_bytes: int | None = None
    flops: int | None = None
    forward_passes: int | None = None
    backward_passes: int | None = None
    limit_flops: float | None = None
    limit_bytes: float | None = None
    limit_seconds: float | None = None
    verified: bool | None = None
    deviation: float | None = None
    bound: float | None = None
    against: str = ""
    reason: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What it is compared by."""
        return Key(self.implementation, self.quantity, self.operation, self.problem, self.dtype, self.device)

    @property
    def red(self) -> bool:
        """Whether the result was compared and is wrong, or the implementation failed."""
        return self.verified is False


def write_records(records: Iterable[BenchRecord], path: Path) -> None:
    """Write records as JSON Lines; numbers that are not finite become null.

    Args:
        records: in the order of the lines.
        path: of the file.
    """
    path.write_text("".join(line(record) + "\n" for record in records), encoding="utf-8")


def line(record: BenchRecord) -> str:
    """A record as one line of JSON."""
    return json.dumps({"schema": SCHEMA, **_finite(asdict(record))}, allow_nan=False, sort_keys=False)


def read_records(path: Path, *, unfinished: bool = False) -> list[BenchRecord]:
    """Read what :func:`write_records` wrote.

    Args:
        path: of the file.
        unfinished: whether a last line without an end is left out: that of a run which was killed while it wrote.

    Raises:
        RecordError: there is no such file, a line is no record, or its schema is another one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; fishergauge bench --json {path} writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    lines = text.splitlines()
    if unfinished and lines and not text.endswith("\n"):
        del lines[-1]
    return [_parsed(text_line, f"{path}, line {number}") for number, text_line in enumerate(lines, 1) if text_line.strip()]


def _parsed(text: str, where: str) -> BenchRecord:
    try:
        content = json.loads(text, parse_constant=_refuse)
        schema = content.pop("schema")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise RecordError(f"{where}: no record of fishergauge bench; give a file that its --json wrote") from None
    if schema != SCHEMA:
        raise RecordError(f"{where}: schema {schema!r}, this version reads {SCHEMA}; measure the baseline anew")
    known = {item.name for item in fields(BenchRecord)}
    if unknown := sorted(set(content) - known):
        raise RecordError(f"{where}: unknown fields {', '.join(unknown)}; measure the baseline anew")
    for item in fields(BenchRecord):
        if item.name in content and not _fits(content[item.name], item.type):
            raise RecordError(f"{where}: {item.name} is {content[item.name]!r}, which no run writes; measure the baseline anew")
    try:
        return BenchRecord(**content)
    except TypeError as error:
        raise RecordError(f"{where}: {error}; measure the baseline anew") from None


def _refuse(name: str) -> NoReturn:
    """NaN and Infinity, which are no JSON: a figure that is none would pass any comparison."""
    raise ValueError(name)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value can stand in a field; counts, sizes and times are not negative."""
    if kind is str:
        return isinstance(value, str)
    if get_origin(kind) is Mapping:
        return isinstance(value, dict)
    kinds = get_args(kind) or (kind,)
    if value is None or isinstance(value, bool):
        return type(value) in kinds
    return isinstance(value, (int, float) if float in kinds else int) and bool not in kinds and value >= 0


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return value
