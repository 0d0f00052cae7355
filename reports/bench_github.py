"""Benchmarks in the format of github-action-benchmark, ``customSmallerIsBetter``."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fishergauge.suites.benchmarks.record import BenchRecord

FIGURES = (("time", "median_seconds", "s"), ("FLOPs", "flops", "FLOPs"), ("memory", "peak_bytes", "B"))


def entries(records: Iterable[BenchRecord]) -> list[dict[str, Any]]:
    """Time, FLOPs and memory of every benchmark as entries of a chart; wrong results and missing figures are left out.

    The name of an entry is the key of the benchmark and the figure, so that it stays the same from run to run.

    Args:
        records: of a run.

    Returns:
        Mappings with ``name``, ``unit``, ``value``, ``range`` (where there is one) and ``extra``; all numbers are finite.

    Example:
        >>> record = BenchRecord("mine", "ggn", "dense", "mlp-small", "float64", "cpu", flops=100, verified=True)
        >>> entries([record])[0]["name"]
        'mine ggn/dense on mlp-small (float64, cpu): FLOPs'
    """
    return [entry for record in records if not record.red for entry in _entries(record)]


def _entries(record: BenchRecord) -> Iterator[dict[str, Any]]:
    for title, name, unit in FIGURES:
        value = getattr(record, name)
        if value is None or not math.isfinite(value):
            continue
        entry: dict[str, Any] = {"name": f"{record.key}: {title}", "unit": unit, "value": value}
        fastest = record.fastest_seconds
        if name == "median_seconds" and fastest is not None and math.isfinite(fastest):
            entry["range"] = f"± {value - fastest:.3g}"
        yield {**entry, "extra": _extra(record)}


def _extra(record: BenchRecord) -> str:
    """What stands beside an entry in the chart."""
    verified = "verified" if record.verified else "not verified"
    machine = ", ".join(
        f"{name} {record.machine[name]}" for name in ("cpu", "gpu", "threads", "torch") if record.machine.get(name)
    )
    return f"{verified}, {record.rounds} rounds\n{machine}".rstrip()


def write_entries(records: Iterable[BenchRecord], path: Path) -> Path:
    """Write the entries as JSON, which any parser accepts.

    Args:
        records: of a run.
        path: of the file.
    """
    text = json.dumps(entries(records), indent=1, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path
