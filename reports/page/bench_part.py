"""Benchmarks: what implementations of the same task cost, whether they are right, and how their cost grows."""

from pathlib import Path
from typing import Any

from fishergauge.reports.page.bench_growth import AXES, COMMAND, MEASURES, read_growth
from fishergauge.reports.page.bench_rows import RECORDS, bench_problems, machine_rates, read_bench, refusals
from fishergauge.reports.page.part import Figure, Part
from fishergauge.suites.wording import number, plural

NAME, TITLE = "bench", "Benchmarks"
FILES = ("bench/bench.csv", RECORDS, "bench/bench.md", "bench/scaling.csv", "bench/scaling.md")
MOST_REDS = 20
LARGEST = 180_000
"""Bytes of the file of a figure that stands on the page; a larger one is linked."""
ROOFLINE = (
    "A panel a task and problem: the rate that each implementation reaches, against its operations for each byte that the task "
    "must move; both axes are logarithmic. The lines are what the machine can do. Near to them is fast for the work that is "
    "done; who does more work than needed stands further to the right."
)
GROWTH = (
    "Counted cost against the size, both axes logarithmic, so that a power is a straight line and its exponent the slope. "
    "Counts are the same in every run."
)


def collect(out: Path) -> Part:
    """Collect what ``fishergauge bench`` has left.

    Args:
        out: folder of the results.

    Returns:
        The part. Wrong results and exponents against theory are red, as in the command.
    """
    from fishergauge.reports.bench_tables import summary_line

    records, gaps = read_bench(out)
    growth, gap = read_growth(out)
    figures = tuple(_figures(out))
    shown = {figure.path for figure in figures}
    drawn = sorted(f"bench/{path.name}" for path in (out / "bench").glob("*.svg"))
    files = (*(name for name in FILES if (out / name).is_file()), *(name for name in drawn if name not in shown))
    if not records and not growth:
        return Part(NAME, TITLE, "", gaps=tuple(gaps), files=files)
    red = [record for record in records if record.red]
    against = [(row, reason) for row in growth for reason in row["wrong"]]
    timed = any(record.median_seconds for record in records)
    data: dict[str, Any] = {
        "timed": timed,
        "benchmarks": len(records),
        "problems": bench_problems(records),
        "refusals": refusals(records),
        "growth": growth,
        "columns": [f"{measure} {axis}" for measure in MEASURES for axis in AXES],
        "rates": machine_rates(records),
        "facets": "task library result" if red else "task library",
    }
    said = f"{summary_line(records)}." if records else "No benchmark was measured."
    if growth:
        judged = sum(len(row["exponents"]) for row in growth)
        said += f" {plural(judged, 'exponent')} of growth against theory: {len(against)} wrong."
    elif gap is None:
        said += f" How costs grow was not measured ({COMMAND} does it)."
    if records and not timed:
        said += " Without times: cost is counted, which is the same on every machine."
    lines = [
        f"{one.implementation} {one.quantity}/{one.operation} on {one.problem} ({one.dtype}): {one.reason or 'wrong'}"
        + (f"; deviation {number(one.deviation)}, bound {number(one.bound)}" if one.deviation is not None else "")
        for one in red
    ]
    lines += [f"{row['implementation']} {row['task']} on {row['family']}: {reason}" for row, reason in against]
    return Part(
        NAME,
        TITLE,
        said,
        data,
        figures=figures,
        gaps=tuple(gaps) + ((gap,) if gap else ()),
        files=files,
        red=len(lines),
        reds=tuple(lines[:MOST_REDS]),
    )


def _figures(out: Path) -> list[Figure]:
    """Those that were drawn: of one run the roofline of each precision, and the growth of each family."""
    found = []
    for path in sorted((out / "bench").glob("*.svg")):
        if path.stat().st_size > LARGEST:
            continue
        kind, _, which = path.stem.partition("-")
        where = f"bench/{path.name}"
        if kind == "roofline":
            title = f"Rates below the limits of the machine{f', {which}' if which else ''}"
            found.append(Figure(f"bench-{path.stem}", title, ROOFLINE, where, timed=True))
        elif kind == "scaling":
            found.append(Figure(f"bench-{path.stem}", f"How cost grows: {which}", GROWTH, where))
    return found
