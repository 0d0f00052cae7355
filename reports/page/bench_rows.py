"""Records of benchmarks as rows of the page: each beside the best of its task, and what is left for the files."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fishergauge.reports.page.part import Gap
from fishergauge.suites.benchmarks.record import BenchRecord, RecordError, _parsed

COMMAND = "fishergauge bench"
RECORDS = "bench/bench.jsonl"
MOST_ROWS = 340
"""Rows on the page; what is beyond them stands in the files."""
CORE = ("dense", "diagonal", "factors", "rows", "product", "solve")
"""The operations that are shown where not all have room."""


def read_bench(out: Path) -> tuple[list[BenchRecord], list[Gap]]:
    """Read the records, as far as they are undamaged. Fields that this version does not know are left out.

    Args:
        out: folder of the results.

    Returns:
        The records, and what cannot be read.
    """
    path = out / RECORDS
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return [], [Gap("the benchmarks", f"{RECORDS} is not there.", COMMAND)]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return [], [Gap("the benchmarks", f"{RECORDS} cannot be read: {why}.", COMMAND)]
    records, bad = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                records.append(_parsed(_known(line), f"line {number}"))
            except (RecordError, ValueError, RecursionError) as error:
                bad.append(str(error).partition(";")[0])
    gaps = []
    if bad:
        more = f", and {len(bad) - 1} more lines" if len(bad) > 1 else ""
        remedy = "Remove the file and run the command again."
        gaps = [
            Gap(f"benchmarks ({len(bad)})", f"{RECORDS} is damaged or of another version: {bad[0]}{more}. {remedy}", COMMAND)
        ]
    elif not records:
        gaps = [Gap("the benchmarks", f"{RECORDS} is empty.", COMMAND)]
    return records, gaps


def _known(line: str) -> str:
    """A line without the fields that this version does not know."""
    content = json.loads(line)
    if not isinstance(content, dict):
        return line
    names = {"schema", *(field.name for field in fields(BenchRecord))}
    return json.dumps({name: value for name, value in content.items() if name in names})


def bench_problems(records: Sequence[BenchRecord]) -> list[dict[str, Any]]:
    """The problems, each with the rows of its tasks, the cheapest first; nothing depends on times but what is marked.

    Args:
        records: of a run.

    Returns:
        One entry for each problem, precision and device. Where there are too many rows some problems have none.
    """
    groups: dict[tuple[str, str, str], list[BenchRecord]] = {}
    for record in records:
        groups.setdefault((record.problem, record.dtype, record.device), []).append(record)
    tables = {key: _rows(group) for key, group in groups.items()}
    if sum(map(len, tables.values())) > MOST_ROWS:
        tables = {key: [row for row in rows if row["red"] or _core(row)] for key, rows in tables.items()}
    problems, room = [], MOST_ROWS
    for key, rows in tables.items():
        shown = len(rows) <= room
        room -= len(rows) if shown else 0
        problems.append(
            {
                **dict(zip(("name", "dtype", "device"), key, strict=True)),
                "sizes": dict(next((record.sizes for record in groups[key] if record.sizes), {})),
                "benchmarks": len(groups[key]),
                "rows": rows if shown else [row for row in rows if row["red"]][:MOST_ROWS],
                "left_out": 0 if shown else len(rows),
            }
        )
    return problems


def _core(row: dict[str, Any]) -> bool:
    return str(row["task"]).rpartition("/")[2] in CORE


def _rows(records: Sequence[BenchRecord]) -> list[dict[str, Any]]:
    """The rows of a problem: tasks that several have done, and whatever is wrong."""
    from fishergauge.suites.benchmarks.gate import measured

    tasks: dict[str, list[BenchRecord]] = {}
    for record in records:
        tasks.setdefault(f"{record.quantity}/{record.operation}", []).append(record)
    rows = []
    for task, group in tasks.items():
        done = [record for record in group if measured(record)]
        compared = len({library_of(record) for record in done}) > 1 or any(record.kind == "subject" for record in done)
        chosen = done if compared else [record for record in done if record.red]
        right = [record for record in done if not record.red]
        cheapest = min((record.flops for record in right if record.flops), default=None)
        fastest = min((record.median_seconds for record in right if record.median_seconds), default=None)
        for record in sorted(chosen, key=lambda one: (not one.red, one.flops is None, one.flops or 0, one.implementation)):
            rows.append(_row(task, record, cheapest, fastest))
    return rows


def _row(task: str, record: BenchRecord, cheapest: int | None, fastest: float | None) -> dict[str, Any]:
    from fishergauge.reports.bench_tables import result_of, scaled, seconds

    passes = (record.forward_passes, record.backward_passes)
    row: dict[str, Any] = {
        "task": task,
        "implementation": record.implementation,
        "library": library_of(record),
        "kind": record.kind,
        "result": result_of(record),
        "red": record.red,
        "flops": record.flops,
        "flops_text": scaled(record.flops),
        "ratio": record.flops / cheapest if record.flops and cheapest else None,
        "passes": "" if passes == (None, None) else "+".join("-" if one is None else str(one) for one in passes),
        "peak_bytes": record.peak_bytes,
        "peak_text": scaled(record.peak_bytes, "B"),
        "timed_seconds": record.median_seconds,
        "timed_text": seconds(record.median_seconds),
        "timed_ratio": record.median_seconds / fastest if record.median_seconds and fastest else None,
        "timed_limit": record.limit_seconds / record.median_seconds if record.limit_seconds and record.median_seconds else None,
    }
    if record.red:
        row |= {"reason": record.reason, "deviation": record.deviation, "bound": record.bound, "against": record.against}
    return row


def library_of(record: BenchRecord) -> str:
    """The library of an implementation; ``yours`` for a subject.

    Args:
        record: of a run.

    Example:
        >>> library_of(BenchRecord("curvlinops:separate", "kfac", "factors", "mlp-small", "float64", "cpu", "peer"))
        'curvlinops'
    """
    return "yours" if record.kind == "subject" else record.implementation.partition(":")[0]


def refusals(records: Sequence[BenchRecord]) -> list[dict[str, Any]]:
    """Why something was not measured, or measured and not compared, those with the same reason together.

    Args:
        records: of a run.
    """
    groups: dict[str, list[BenchRecord]] = {}
    for record in records:
        if record.reason and not record.red:
            groups.setdefault(record.reason, []).append(record)
    return [
        {
            "reason": reason,
            "count": len(group),
            "names": list(dict.fromkeys(f"{one.implementation} {one.quantity}/{one.operation}" for one in group)),
        }
        for reason, group in groups.items()
    ]


def machine_rates(records: Sequence[BenchRecord]) -> list[dict[str, Any]]:
    """The rates of the machine that the limits of tasks were computed with, for each precision and device.

    A limit is the longer one of the time for the operations and of that for the bytes, so that the larger of all ratios is
    the rate itself wherever one task is limited by it.

    Args:
        records: of a run.
    """
    timed = [record for record in records if record.limit_seconds]
    rates = []
    for dtype, device in dict.fromkeys((record.dtype, record.device) for record in timed):
        own = [record for record in timed if (record.dtype, record.device) == (dtype, device)]
        rates.append(
            {
                "dtype": dtype,
                "device": device,
                "timed_flops": max((record.limit_flops or 0.0) / (record.limit_seconds or 1.0) for record in own),
                "timed_bytes": max((record.limit_bytes or 0.0) / (record.limit_seconds or 1.0) for record in own),
            }
        )
    return rates
