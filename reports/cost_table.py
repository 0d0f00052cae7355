"""The table of costs: the notebooks' algorithms against this package's."""

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
LEAST_SPEEDUP = 10.0
LEAST_MEMORY_RATIO = 5.0
TOGETHER = ("E3", "E4")


def cost_table(rows: Sequence[Row]) -> list[Row]:
    """Sum the comparisons by task over the seeds, and E3 and E4 together.

    Args:
        rows: as :meth:`fishergauge.reports.cost.Comparison.row` gives them.

    Returns:
        A row a task: seconds summed over seeds, the highest peak, their ratios, and whether the notebook's algorithm is
        at least ten times slower and holds at least five times as much memory.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    table = [_summed(task, [row for row in rows if row["task"] == task]) for task in tasks]
    if set(TOGETHER) <= set(tasks):
        table.append(_summed("E3+E4", [row for row in rows if row["task"] in TOGETHER]))
    return table


def _summed(task: str, rows: Sequence[Row]) -> Row:
    slow, fast = (sum(row[f"{who}_seconds"] for row in rows) for who in ("notebook", "fishergauge"))
    high, low = (max(row[f"{who}_peak_bytes"] for row in rows) for who in ("notebook", "fishergauge"))
    speedup, memory = slow / fast, high / max(low, 1)
    return {
        "task": task,
        "seeds": sum(row["seeds"] for row in rows) // len({row["task"] for row in rows}),
        "notebook_seconds": slow,
        "fishergauge_seconds": fast,
        "speedup": speedup,
        "notebook_peak_bytes": high,
        "fishergauge_peak_bytes": low,
        "memory_ratio": memory,
        "deviation": max(row["deviation"] for row in rows),
        "fast_enough": speedup >= LEAST_SPEEDUP,
        "small_enough": memory >= LEAST_MEMORY_RATIO,
    }


def cost_markdown(tables: dict[str, list[Row]]) -> str:
    """The tables of all data sets as a section of Markdown; empty where nothing was measured.

    Args:
        tables: rows of :func:`cost_table` by data set.
    """
    if not any(tables.values()):
        return ""
    lines = [
        "## Cost against the notebooks",
        "",
        "The notebook's algorithm and this package's at the same task, in the same run and on one thread; imports, data and",
        "figures apart. Memory is the most that tensors and operators' workspaces hold at any moment beyond the start.",
        "",
        "| task | data | seeds | notebook, s | fishergauge, s | times faster "
        "| notebook, MB | fishergauge, MB | times smaller | largest difference |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for data, table in tables.items():
        for row in table:
            lines.append(
                f"| {row['task']} | {data} | {row['seeds']} "
                f"| {row['notebook_seconds']:.2f} | {row['fishergauge_seconds']:.3f} | {row['speedup']:.1f} "
                f"| {row['notebook_peak_bytes'] / 1e6:.1f} | {row['fishergauge_peak_bytes'] / 1e6:.2f} "
                f"| {row['memory_ratio']:.1f} | {row['deviation']:.1e} |"
            )
    return "\n".join(lines)
