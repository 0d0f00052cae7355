"""The tables of accuracy against cost, for a terminal and as Markdown, and what they come to in a sentence."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from fishergauge.reports.accuracy_front import NOTHING
from fishergauge.reports.accuracy_problems import PROBLEMS
from fishergauge.reports.accuracy_row import Row
from fishergauge.reports.bench_tables import scaled
from fishergauge.reports.spectrum_section import Section
from fishergauge.suites.wording import number, plural, some

HALF = 0.5
HEAD = ("approximation", "FLOPs", "numbers", "distance", "step FLOPs", "step error", "angle", "on the front, or who is better")
LEGEND = (
    "FLOPs: of building it (matrix products, convolutions, factorisations); numbers: that it holds; distance: from the exact "
    "Fisher, relative, Frobenius norm; step: the damped one, from the problem to the step; angle: to the exact step, degrees. "
    "Front: none is both as near and as cheap, the zero matrix (distance 1, no cost) included; otherwise the nearest that is."
)


def by_problem(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each problem, in order.

    Args:
        rows: of a measurement.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.problem, []).append(row)
    return groups


def sections(rows: Sequence[Row]) -> list[Section]:
    """A table for each problem, the cheapest first, with a sentence on what it says.

    Args:
        rows: of a measurement.
    """
    return [_section(problem, group) for problem, group in by_problem(rows).items()]


def _section(problem: str, rows: Sequence[Row]) -> Section:
    measured = sorted((row for row in rows if row.outcome == "measured"), key=_order)
    about = f": {PROBLEMS[problem].statement}" if problem in PROBLEMS else ""
    return Section(f"{problem}{about}", HEAD, [_line(row) for row in measured], [result(rows)], not_measured(rows))


def _order(row: Row) -> tuple[float, float]:
    return math.inf if row.flops is None else row.flops, 0.0 if row.exact else row.distance or 0.0


def _line(row: Row) -> list[str]:
    return [
        row.approximation,
        "products alone" if row.flops is None else scaled(row.flops),
        "-" if row.stored is None else f"{row.stored:,}",
        "exact" if row.exact else number(row.distance, 3),
        scaled(row.step_flops),
        number(row.step_error, 2),
        number(row.step_angle, 2),
        "front" if row.front else row.dominated_by or "-",
    ]


def not_measured(rows: Sequence[Row]) -> list[str]:
    """What was refused and what failed, those with the same reason together.

    Args:
        rows: of one problem.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.outcome != "measured":
            groups.setdefault((row.outcome, row.reason), []).append(row.approximation)
        elif row.step_reason:
            groups.setdefault(("no step", row.step_reason), []).append(row.approximation)
    return [f"{outcome}: {', '.join(names)}: {reason}." for (outcome, reason), names in groups.items()]


def result(rows: Sequence[Row]) -> str:
    """What the rows of one problem say, in a few sentences.

    Args:
        rows: of one problem.
    """
    known = [row for row in rows if row.front is not None]
    on_front = sorted((row for row in known if row.front), key=_order)
    if not on_front:
        return "Nothing was measured here."
    first, last = on_front[0], min(on_front, key=lambda row: 0.0 if row.exact else row.distance or 0.0)
    said = f"{len(on_front)} of {plural(len(known), 'approximation')} are on the front, from {_told(first)} to {_told(last)}."
    exact = min((row.flops for row in known if row.exact and row.flops is not None), default=None)
    labels = {NOTHING: "the zero matrix", **{row.approximation: row.label for row in rows}}
    worth = [_worth(row, labels.get(row.dominated_by, row.dominated_by)) for row in rows if row.kind == "subject"]
    parts = [said, *_below(on_front, exact), *_stepped(rows), *worth]
    return " ".join(filter(None, parts))


def _told(row: Row) -> str:
    near = "exact" if row.exact else f"distance {number(row.distance, 2)}"
    return f"{row.label} ({scaled(row.flops)} FLOPs, {near})"


def _below(on_front: Sequence[Row], exact: int | None) -> list[str]:
    """The nearest of those that cost less than half of what is exact."""
    if not exact:
        return []
    cheap = [row for row in on_front if row.flops is not None and row.flops < HALF * exact]
    if not cheap:
        return ["Nothing that costs less than half of the exact one is on the front."]
    best = min(cheap, key=lambda row: row.distance or 0.0)
    share = number(100 * (best.flops or 0) / exact, 2)
    return [f"Below half of the cost of the exact one, {best.label} is nearest: {number(best.distance, 2)} for {share} %."]


def _stepped(rows: Sequence[Row]) -> list[str]:
    """Which exact one comes to the damped step with the fewest operations."""
    exact = [row for row in rows if row.exact and row.step_flops is not None]
    if not exact:
        return []
    best = min(exact, key=lambda row: row.step_flops or 0)
    return [f"The exact damped step costs least by {best.label}: {scaled(best.step_flops)} FLOPs."]


def _worth(row: Row, better: str) -> str:
    """Whether a subject is worth its cost, and who is better."""
    if row.outcome != "measured":
        return f"{row.label}: {row.outcome}."
    if row.front is None:
        return f"{row.label} builds nothing: its products run through the model."
    if row.front:
        return f"{row.label} is on the front."
    return f"{row.label} is dominated by {better}, which is no farther and costs no more."


def summary_line(rows: Sequence[Row], seconds: float | None = None) -> str:
    """The number of rows by outcome, and the seconds.

    Args:
        rows: of a measurement.
        seconds: that it took; left out of files.
    """
    counts: Mapping[str, int] = Counter(row.outcome for row in rows)
    outcomes = ", ".join(f"{counts[name]} {name}" for name in ("measured", "refused", "error") if counts[name])
    front = sum(row.front is True for row in rows)
    text = f"{plural(len(by_problem(rows)), 'problem')}, {plural(len(rows), 'row')}: {outcomes}; {front} on the front"
    return text if seconds is None else f"{text}; {seconds:.1f} s"


def red_lines(rows: Sequence[Row]) -> list[str]:
    """What failed, a line for each approximation and reason.

    Args:
        rows: of a measurement.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.red:
            groups.setdefault((row.approximation, row.reason), []).append(row.problem)
    return [f"error: {name} on {some(problems, 6)}: {reason}" for (name, reason), problems in groups.items()]
