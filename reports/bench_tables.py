"""What the implementations of a task cost, side by side: for a terminal, a job summary and a spreadsheet."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.tables import write_csv
from fishergauge.suites.benchmarks.gate import measured
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.wording import number, plural, some

HEAD = ("task", "implementation", "time", "x best", "limit", "FLOPs", "passes", "memory", "result")
LEGEND = (
    "time: median of a call; x best: times the fastest right one; limit: share of what the machine can do, from the FLOPs and "
    "bytes that the task needs; passes: forward + backward; memory: peak beyond the start, result included; result: ok where "
    "it agreed with an independent one before it was timed."
)
UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
ROUNDED = 0.9995  # of a unit: from here on, three digits are those of the next one
MAPPINGS = ("sizes", "versions", "machine")


def sections(records: Sequence[BenchRecord]) -> list[Section]:
    """A table for each problem, precision and device: the implementations of each task, the fastest first.

    Args:
        records: of a run.
    """
    groups: dict[tuple[str, str, str], list[BenchRecord]] = {}
    for record in records:
        groups.setdefault((record.problem, record.dtype, record.device), []).append(record)
    return [_section(group) for group in groups.values()]


def _section(records: Sequence[BenchRecord]) -> Section:
    first = records[0]
    sizes = next((record.sizes for record in records if record.sizes), {})
    about = ", ".join([first.dtype, first.device, *(f"{name} = {value}" for name, value in sizes.items())])
    tasks: dict[str, list[BenchRecord]] = {}
    for record in records:
        tasks.setdefault(_task(record), []).append(record)
    refused_by_all = [task for task, group in tasks.items() if not any(measured(record) or _absent(record) for record in group)]
    rows = [row for task, group in tasks.items() if task not in refused_by_all for row in _rows(task, group)]
    head: tuple[str, ...] = HEAD if rows else ()
    if not any(record.median_seconds for record in records):
        head, rows = _untimed(head), [list(_untimed(row)) for row in rows]
    return Section(f"{first.problem} ({about})", head, rows, (), list(_reasons(records)))


def _untimed(row: Sequence[str]) -> tuple[str, ...]:
    """A row without the columns of time."""
    return (*row[:2], *row[5:])


def _rows(task: str, records: Sequence[BenchRecord]) -> Iterator[list[str]]:
    """The rows of a task, its name in the first."""
    times = [record.median_seconds for record in records if not record.red]
    best = min((time for time in times if time), default=None)
    ordered = sorted(records, key=lambda one: (not measured(one), one.median_seconds or math.inf, one.flops or math.inf))
    for number_of, record in enumerate(ordered):
        yield [task if number_of == 0 else "", record.implementation, *_figures(record, best)]


def _figures(record: BenchRecord, best: float | None) -> list[str]:
    time, limit = record.median_seconds, record.limit_seconds
    passes = (record.forward_passes, record.backward_passes)
    return [
        seconds(time),
        f"{time / best:.1f}" if time and best else "-",
        _percent(limit / time) if time and limit else "-",
        scaled(record.flops),
        "+".join("-" if one is None else str(one) for one in passes) if passes != (None, None) else "-",
        scaled(record.peak_bytes, "B"),
        result_of(record),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{number(100 * share, 2)} %"


def result_of(record: BenchRecord) -> str:
    """What became of a benchmark, in a word or two.

    Args:
        record: of a run.
    """
    if record.red:
        return "FAILED" if _failed(record) else "WRONG"
    if not measured(record):
        return "no device" if _absent(record) else "refused"
    return "ok" if record.verified else "unchecked"


def _reasons(records: Sequence[BenchRecord]) -> Iterator[str]:
    """Why something is wrong or not measured, benchmarks with the same reason together."""
    red: dict[str, list[BenchRecord]] = {}
    others: dict[str, list[str]] = {}
    for record in records:
        name = f"{record.implementation} {_task(record)}"
        if record.red:
            red.setdefault(f"{result_of(record)}: {record.reason}", []).append(record)
        elif record.reason:
            others.setdefault(record.reason, []).append(name)
    for alike in red.values():
        names = [f"{record.implementation} {_task(record)}" for record in alike]
        yield f"{result_of(alike[0])}: {_counted(names)}: {_why(max(alike, key=_deviation), len(alike) > 1)}."
    for reason, names in others.items():
        yield f"{reason}: {_counted(names)}."


def _counted(names: Sequence[str]) -> str:
    """The first names, and how many there are where not all are given."""
    return some(names, 4) if len(names) <= 4 else f"{len(names)} benchmarks: {some(names, 4)}"


def _deviation(record: BenchRecord) -> float:
    return -1.0 if record.deviation is None else record.deviation


def _why(record: BenchRecord, worst: bool = False) -> str:
    """Why a record is red, alone or as the worst of several."""
    parts = [record.reason]
    if record.deviation is not None and not _failed(record):
        against = f" from {record.against}" if record.against else ""
        parts.append(f"deviation {'up to ' * worst}{number(record.deviation)}{against}, bound {number(record.bound)}")
    return "; ".join(filter(None, parts)) or "no reason recorded"


def _failed(record: BenchRecord) -> bool:
    """Whether it raised an error rather than being wrong."""
    return record.reason.startswith("error")


def _task(record: BenchRecord) -> str:
    return f"{record.quantity}/{record.operation}"


def _absent(record: BenchRecord) -> bool:
    """Whether there was no device."""
    return record.reason.startswith("not measured: no device")


def seconds(value: float | None) -> str:
    """A time in three digits.

    Example:
        >>> seconds(0.00413), seconds(12.34), seconds(None)
        ('4.13 ms', '12.3 s', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    unit, size = next(((unit, size) for unit, size in UNITS if value >= ROUNDED * size), UNITS[-1])
    return f"{number(value / size)} {unit}"


def scaled(value: float | None, unit: str = "") -> str:
    """A count in three digits, with a prefix for thousands.

    Example:
        >>> scaled(12_345_678), scaled(320, "B"), scaled(31_000_000, "B"), scaled(None)
        ('12.3 M', '320 B', '31 MB', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= ROUNDED * size:
            return f"{number(value / size)} {prefix}{unit}"
    return f"{value:.0f} {unit}".rstrip()


def summary_line(records: Sequence[BenchRecord], taken: float | None = None) -> str:
    """How many benchmarks there are by outcome, and the seconds.

    Args:
        records: of a run.
        taken: seconds of the whole run; left out of files.
    """
    red = sum(record.red for record in records)
    some_measured = [record for record in records if measured(record)]
    timed = sum(record.median_seconds is not None for record in some_measured)
    verified = sum(record.verified is True for record in some_measured)
    absent = sum(_absent(record) for record in records)
    refused = len(records) - len(some_measured) - absent
    text = f"{plural(len(records), 'benchmark')}: {len(some_measured)} measured, {timed} timed, {verified} verified, "
    text += f"{refused} refused, {red} red" + (f", {absent} without a device" if absent else "")
    return text if taken is None else f"{text}; {taken:.1f} s"


def markdown(records: Sequence[BenchRecord], verdict: Sequence[str] = ()) -> str:
    """The tables as a Markdown document, for a job summary.

    Args:
        records: of a run.
        verdict: lines that come first, such as those of a gate.
    """
    parts = ["# Benchmarks", summary_line(records)]
    if verdict:
        parts.append("\n".join(["```text", *verdict, "```"]))
    return "\n\n".join([*parts, LEGEND, *(section.markdown() for section in sections(records))]) + "\n"


def write_table(records: Sequence[BenchRecord], path: Path) -> Path:
    """Write the records as CSV, without versions and machine.

    Args:
        records: of a run.
        path: of the file.
    """
    names = [item.name for item in fields(BenchRecord) if item.name not in MAPPINGS]
    sizes = list(dict.fromkeys(name for record in records for name in record.sizes))
    rows = [{**{name: getattr(record, name) for name in names}, **record.sizes} for record in records]
    return write_csv(rows, path, [*names, *sizes])
