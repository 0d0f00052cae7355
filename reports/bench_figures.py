"""The figures of ``fishergauge bench``: the roofline of the machine, and the growth of cost."""

from collections.abc import Sequence
from pathlib import Path

import torch

from fishergauge.reports.figure_files import figure_paths
from fishergauge.reports.roofline_figure import draw_roofline
from fishergauge.reports.scaling_figure import draw_scaling
from fishergauge.suites.benchmarks.limits import measure_limits
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.scaling import ScalingRow

KINDS = ("png", "svg")


def roofline_figures(records: Sequence[BenchRecord], out: Path) -> list[Path]:
    """Draw what was timed below the limits of the machine, a figure for each precision; none where nothing was timed.

    Args:
        records: of a run on one device.
        out: the folder.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    paths: list[Path] = []
    pairs = dict.fromkeys((one.dtype, one.device) for one in records if one.median_seconds and one.limit_bytes and not one.red)
    for dtype, device in pairs:
        stem = out / ("roofline" if len(pairs) == 1 else f"roofline-{dtype}")
        paths += draw_roofline(records, measure_limits(getattr(torch, dtype), device), figure_paths(stem, KINDS))
    return paths


def scaling_figures(rows: Sequence[ScalingRow], out: Path) -> list[Path]:
    """Draw how cost grows, a figure for each family of problems.

    Args:
        rows: of the grid.
        out: the folder.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    families = dict.fromkeys(row.family for row in rows)
    return [path for family in families for path in draw_scaling(rows, figure_paths(out / f"scaling-{family}", KINDS), family)]
