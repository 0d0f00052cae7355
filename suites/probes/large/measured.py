"""What products and probes cost against P, and what probes see there: tables in Markdown, from runs and their records.

``python -m fishergauge.suites.probes.large.measured RECORDS...`` prints those of runs of ``fishergauge probe --json``,
``python -m fishergauge.suites.probes.large.measured --products NAME...`` measures single products on problems by name.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.suites.wording import number

Row = Mapping[str, Any]
GIB = 2**30


def run_table(records: Iterable[Row]) -> str:
    """A line for each subject on each problem: verdicts, products, seconds, bytes at the peak, in all and for a parameter.

    Args:
        records: lines of records files.

    Example:
        >>> line = {"subject": "mine", "problem": "mlp-1e4", "dtype": "float64", "claim": "probe-psd", "verdict": "violated"}
        >>> line |= {"num_parameters": 10_000, "peak_bytes": 800_000, "products": 5, "exact_products": 2, "seconds": 0.25}
        >>> print(run_table([line]).splitlines()[-1])
        | mine | mlp-1e4 | 10,000 | float64 | 0 hold, 1 does not: psd | 5 and 2 | 0.25 | 0.00075 | 80 |
    """
    head = (
        "subject",
        "problem",
        "P",
        "dtype",
        "verdicts",
        "products, its and exact",
        "seconds",
        "peak, GiB",
        "bytes a parameter",
    )
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for record in records:
        groups.setdefault((record["problem"], record["subject"], record["dtype"]), []).append(record)
    lines = []
    for (problem, subject, dtype), rows in groups.items():
        size = max(row["num_parameters"] for row in rows)
        peak = max(row["peak_bytes"] or 0 for row in rows)
        products, exact = (sum(row[key] for row in rows) for key in ("products", "exact_products"))
        seconds = sum(row["seconds"] for row in rows)
        verdicts = _verdicts(rows)
        cells = (subject, problem, f"{size:,}", dtype, verdicts, f"{products} and {exact}")
        lines.append((*cells, number(seconds), number(peak / GIB, 2), number(peak / size)))
    return markdown(head, lines)


def power_table(records: Iterable[Row]) -> str:
    """A line for each probe, a column for each problem: the smallest relative defect that is seen almost certainly.

    What it is relative to follows, in the words of the probe; of several subjects for which that is the same, the largest.

    Args:
        records: lines of records files.

    Example:
        >>> line = {"problem": "mlp-1e4", "claim": "probe-psd", "power": 0.061, "seen": "of the largest eigenvalue"}
        >>> print(power_table([line, line | {"problem": "mlp-1e5", "power": 0.073}]).splitlines()[-1])
        | probe-psd | 0.061 | 0.073 | of the largest eigenvalue |
    """
    powers: dict[tuple[str, str], dict[str, float]] = {}
    problems: dict[str, None] = {}
    for record in records:
        if record["power"] is None:
            continue
        of_probe = powers.setdefault((record["claim"], record["seen"].partition(";")[0]), {})
        of_probe[record["problem"]] = max(record["power"], of_probe.get(record["problem"], 0.0))
        problems[record["problem"]] = None
    lines = [(probe, *(number(of.get(name), 2) for name in problems), seen) for (probe, seen), of in powers.items()]
    return markdown(("probe", *problems, "relative to"), lines)


def product_table(names: Iterable[str], dtype: str) -> str:
    """Measure a product of the exact matrices and of K-FAC on problems of the catalogue, and print a line for each.

    Args:
        names: of problems.
        dtype: ``"float64"`` or ``"float32"``.
    """
    from fishergauge.suites.probes.large.catalogue import LARGE
    from fishergauge.suites.probes.large.product_cost import MATRICES, product_cost
    from fishergauge.suites.selection import DTYPES

    lines = []
    for name in names:
        problem = LARGE[name].problem(DTYPES[dtype])
        for matrix in MATRICES:
            cost = product_cost(problem, matrix)
            size, peak = cost.peak
            cells = (name, f"{size:,}", matrix, number(cost.first, 2), number(cost.seconds, 2), number(peak / 2**20))
            lines.append((*cells, number(peak / size / problem.dtype.itemsize, 2)))
    head = ("problem", "P", "matrix", "making and first product, s", "a further product, s", "peak, MiB", "vectors of length P")
    return markdown(head, lines)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    r"""A table in Markdown; bars inside a cell are escaped.

    Example:
        >>> print(markdown(("a", "b"), [("1", "|x|")]))
        | a | b |
        | --- | --- |
        | 1 | \|x\| |
    """
    rows = [[cell.replace("|", r"\|") for cell in cells] for cells in (head, ["---"] * len(head), *lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _verdicts(rows: Sequence[Row]) -> str:
    """How many probes hold, and the names of those that do not."""
    holding = sum(row["verdict"] == "holds" for row in rows)
    others = [row["claim"].removeprefix("probe-") for row in rows if row["verdict"] in ("violated", "unexpected", "error")]
    if not others:
        return f"{holding} hold"
    return f"{holding} hold, {len(others)} {'does' if len(others) == 1 else 'do'} not: {', '.join(others)}"


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    if arguments and arguments[0] == "--products":
        for dtype in ("float64", "float32"):
            print(f"{dtype}\n\n{product_table(arguments[1:], dtype)}\n")
        return
    records = [json.loads(line) for path in arguments for line in Path(path).read_text().splitlines() if line]
    print(f"{run_table(records)}\n\n{power_table(records)}")


if __name__ == "__main__":
    main(sys.argv[1:])
