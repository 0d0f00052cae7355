"""The roofline: the rate that each implementation reaches against its operations a byte, below the roofs of the machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fishergauge.reports.extras import require
from fishergauge.reports.figure_files import save_figure
from fishergauge.reports.panels import GREY
from fishergauge.suites.benchmarks.limits import Limits
from fishergauge.suites.benchmarks.problems import BENCHES, SIZES
from fishergauge.suites.benchmarks.record import BenchRecord

LIBRARIES = {  # Okabe and Ito's colours; the marker is a second carrier
    "fishergauge": ("#0072B2", "o"),
    "backpack": ("#D55E00", "s"),
    "curvlinops": ("#009E73", "^"),
    "nngeometry": ("#CC79A7", "D"),
    "asdfghjkl": ("#E69F00", "v"),
    "asdl": ("#E69F00", "v"),
    "laplace-torch": ("#56B4E9", "P"),
    "laplace_torch": ("#56B4E9", "P"),
    "notebook": ("#555555", "X"),
}
OTHER = ("#000000", "*")
VARIANTS = ("full", "none", "left", "right", "top", "bottom")  # how the markers of a library's variants are filled
FAMILIES = ("softmax", "mlp", "cnn", "wide")
TARGETS = (
    ("fisher", "dense", "softmax"),
    ("ggn", "dense", "mlp"),
    ("empirical-fisher", "dense", "mlp"),
    ("gradient", "rows", "mlp"),
    ("kfac", "factors", "wide"),
    ("ggn", "product", "wide"),
)
COLUMNS, MOST = 2, 6
PANEL = (5.6, 4.0)  # inches


class Panel(NamedTuple):
    """A task on a problem."""

    quantity: str
    operation: str
    problem: str


def draw_roofline(
    records: Sequence[BenchRecord], limits: Limits, paths: Sequence[Path], panels: Sequence[Panel] | None = None
) -> list[Path]:
    r"""Draw a panel a task and problem: achieved rate against operations a byte, both logarithmic.

    A point is one implementation: the operations that were counted over the median time, against the same operations over
    the bytes that the task must move. The roof is the lower of the rate of matrix products and of intensity times bandwidth.
    A star on the roof marks the least operations that are known to do. Who counts more operations than needed is further to
    the right, and may be high up and slow: the legend has the times, fastest first, and the share of the limit reached.

    Args:
        records: those of the dtype and device of ``limits`` are drawn, unless they are red.
        limits: of the machine, from the same run.
        paths: files to write; their suffix says the format.
        panels: what to draw, at most six are; by default :func:`chosen_panels`.

    Returns:
        The paths; none where nothing can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    own = [record for record in records if drawable(record, limits)]
    wanted = chosen_panels(own) if panels is None else list(panels)
    filled = [(panel, found) for panel in wanted if (found := _of(own, panel))][:MOST]
    if not filled:
        return []
    with require("matplotlib").rc_context({"font.size": 9, "pdf.fonttype": 42, "axes.linewidth": 0.7}):
        figure = made_figure(filled, limits)
        save_figure(figure, paths, dpi=170)
    return list(paths)


def drawable(record: BenchRecord, limits: Limits) -> bool:
    """Whether a record was measured on this device and dtype, has a limit, and its result is not wrong."""
    same = (record.dtype, record.device) == (limits.dtype, limits.device)
    return same and not record.red and bool(record.median_seconds) and bool(record.limit_bytes)


def chosen_panels(records: Sequence[BenchRecord]) -> list[Panel]:
    """The tasks for which there are targets, on the largest problem of their family that was measured.

    Where fewer than six were measured, tasks with the most implementations fill up.

    Args:
        records: that can be drawn.
    """
    panels = []
    for quantity, operation, family in TARGETS:
        problems = {r.problem for r in records if (r.quantity, r.operation) == (quantity, operation)}
        of_family = sorted((p for p in problems if _family(p) == family), key=_rank)
        panels += [Panel(quantity, operation, problem) for problem in of_family[-1:]]
    counts: dict[Panel, set[str]] = {}
    for record in records:
        counts.setdefault(Panel(record.quantity, record.operation, record.problem), set()).add(record.implementation)
    others = sorted((panel for panel in counts if panel not in panels), key=lambda p: (-len(counts[p]), -_rank(p.problem), p))
    return (panels + [panel for panel in others if len(counts[panel]) > 1])[:MOST]


def made_figure(filled: Sequence[tuple[Panel, Sequence[BenchRecord]]], limits: Limits) -> Any:
    """The figure of :func:`draw_roofline`."""
    columns = min(COLUMNS, len(filled))
    lines = -(-len(filled) // columns)
    figure = require("matplotlib.figure").Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines + 0.6), layout="constrained")
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis, (panel, records), letter in zip(grid, filled, "abcdef", strict=False):
        _draw(axis, records, limits)
        axis.set_title(f"({letter}) {panel.quantity}, {panel.operation}: {panel.problem}", loc="left", fontsize=10)
    for spare in grid[len(filled) :]:
        spare.axis("off")
    figure.suptitle(
        f"Roofline, {limits.dtype} on {limits.device}, {limits.threads} thread{'s' * (limits.threads > 1)}: matrix products "
        f"{limits.flops_per_second / 1e9:.3g} GFLOP/s, memory {limits.bytes_per_second / 1e9:.3g} GB/s. "
        "Percentages: least time by the limits / median time.",
        fontsize=10,
    )
    return figure


def _draw(axis: Any, records: Sequence[BenchRecord], limits: Limits) -> None:
    """One panel: the roof, the star of the least work, and a point an implementation."""
    ordered = sorted(records, key=lambda record: record.median_seconds or 0.0)
    points = [
        (r, r.flops / r.limit_bytes, r.flops / r.median_seconds)
        for r in ordered
        if r.flops and r.limit_bytes and r.median_seconds
    ]
    first = ordered[0]
    least = (first.limit_flops or 0) / (first.limit_bytes or 1)
    at = [x for _, x, _ in points] + ([least] if least else []) + [limits.flops_per_second / limits.bytes_per_second]
    low, high = min(at) / 4, max(at) * 4
    ridge = limits.flops_per_second / limits.bytes_per_second
    corners = [low, *([ridge] if low < ridge < high else []), high]
    axis.plot(corners, [roof(x, limits) for x in corners], color=GREY, linewidth=1.6, zorder=1)
    handles, labels = [], []
    if least:
        star = axis.plot([least], [roof(least, limits)], "*", color="black", markersize=11, linestyle="none", zorder=4)[0]
        axis.axvline(least, color="black", linewidth=0.7, linestyle=":", zorder=0)
        handles.append(star)
        labels.append(f"limit: {_time(first.limit_seconds)}" if first.limit_seconds else "limit")
    placed = {id(record): (x, y) for record, x, y in points}
    for record in ordered:
        style = _style(record.implementation, [r.implementation for r in ordered])
        x, y = placed.get(id(record), (float("nan"), float("nan")))
        handles.append(axis.plot([x], [y], **style, zorder=3 if style["fillstyle"] == "full" else 4)[0])  # hollow ones on top
        labels.append(_label(record))
    lowest = min([y for _, _, y in points] + [roof(low, limits)])
    axis.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(min(lowest, limits.flops_per_second / 30) / 2.5, limits.flops_per_second * 2.5),
    )
    axis.set_xlabel("operations counted / bytes that must move (FLOP/B)")
    axis.set_ylabel("operations / median time (FLOP/s)")
    ticker = require("matplotlib.ticker")
    axis.yaxis.set_major_locator(ticker.LogLocator(numticks=20))
    for side in (axis.xaxis, axis.yaxis):
        side.set_minor_formatter(ticker.NullFormatter())
    axis.grid(True, which="major", alpha=0.3, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(handles, labels, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.03), handletextpad=0.3)


def roof(intensity: float, limits: Limits) -> float:
    """The highest rate at an intensity: the rate of products, or intensity times bandwidth where that is lower."""
    return min(limits.flops_per_second, intensity * limits.bytes_per_second)


def _label(record: BenchRecord) -> str:
    """The name, the median time, the share of the limit, and what there is to say of a point."""
    share = (
        f", {100 * record.limit_seconds / record.median_seconds:.2g} %"
        if record.limit_seconds and record.median_seconds
        else ""
    )
    remarks = ("" if record.flops else "\nno products counted: no point") + ("" if record.verified else "\nnot verified")
    return f"{record.implementation}\n{_time(record.median_seconds)}{share}{remarks}"


def _time(seconds: float | None) -> str:
    if not seconds:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _style(name: str, names: Sequence[str]) -> dict[str, Any]:
    """Colour and marker of the library, the filling of the variant."""
    library = name.partition(":")[0]
    known = library if library in LIBRARIES else next((key for key in LIBRARIES if library.startswith(key)), "")
    colour, marker = LIBRARIES.get(known, OTHER)
    variants = sorted(each for each in set(names) if each.partition(":")[0] == library)
    fill = VARIANTS[variants.index(name) % len(VARIANTS)]
    return {
        "color": colour,
        "marker": marker,
        "fillstyle": fill,
        "markerfacecoloralt": "white",
        "markersize": 7.5,
        "markeredgewidth": 1.2,
        "linestyle": "none",
    }


def _of(records: Sequence[BenchRecord], panel: Panel) -> list[BenchRecord]:
    return [record for record in records if Panel(record.quantity, record.operation, record.problem) == panel]


def _family(problem: str) -> str:
    return BENCHES[problem].family if problem in BENCHES else ""


def _rank(problem: str) -> int:
    """The place of a problem's size; zero for an unknown problem."""
    return 1 + SIZES.index(BENCHES[problem].size) if problem in BENCHES else 0
